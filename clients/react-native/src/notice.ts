// What the user should know about the state of a call, and what can be done about it.

import type { SessionState } from "@parley/client/ui/portable";
import type { SoundState } from "./phone_microphone";
import { textOf } from "./texts";

export interface Notice {
  readonly text: string;
  /** What a button does about it: tries again, or takes the phone's sound back. */
  readonly remedy: "retry" | "take-sound" | null;
}

export function noticeOf({ phase, problem, isAsking }: SessionState, { isInterrupted }: SoundState): Notice | null {
  const canRetry = problem?.canRetry ?? false;
  if (phase === "live" && isInterrupted && !canRetry) {
    return { text: "Another app has the phone's sound.", remedy: "take-sound" };
  }
  return problem && { text: textOf(problem, isAsking), remedy: canRetry ? "retry" : null };
}
