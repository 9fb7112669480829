// What the user should know about the state of a call, and what can be done about it: one thing at a time, the
// gravest first.

import type { CallState } from "./phone_call";
import type { TalkState } from "./talk";
import { textOfEnd, textOfFailure } from "./texts";

export interface Notice {
  readonly text: string;
  /** What a button does about it: tries again, or takes the phone's sound back. */
  readonly remedy: "retry" | "take-sound" | null;
}

export function noticeOf({ phase, line, sight, failure, ended }: CallState, talk: TalkState): Notice | null {
  if (failure) return { text: textOfFailure(failure), remedy: phase === "away" || line === "given-up" ? "retry" : null };
  if (ended) return { text: textOfEnd(ended), remedy: null };
  if (phase !== "live") return null;
  if (talk.isInterrupted) return { text: "Another app has the phone's sound.", remedy: "take-sound" };
  if (line === "broken" || line === "suspended") return { text: "The server does not answer. Trying again …", remedy: null };
  if (sight === "broken") return { text: "Picture and sound do not come. Trying again …", remedy: null };
  if (sight === "given-up") return { text: "Picture and sound do not come. You can read the answers.", remedy: "retry" };
  if (talk.microphone === "denied") {
    return { text: "The microphone is not allowed. Allow it in the settings of the phone, or write instead.", remedy: null };
  }
  if (talk.microphone === "missing") {
    return { text: "The microphone does not start. Another app may be using it; you can write instead.", remedy: null };
  }
  return null;
}
