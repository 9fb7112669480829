// What a user interface shows of a session.

import type { Persona } from "../contract.js";
import type { Activity, Turn } from "../conversation.js";
import type { Link } from "../link.js";
import type { SessionProblem } from "./problems.js";

/** How the user talks: into an open microphone, or while holding a button. */
export type TalkMode = "open" | "hold";

/** `off` when there is none, or none is allowed. */
export type MicrophoneState = "off" | "muted" | "on";

/** What goes on, in one word. */
export type Status =
  | "idle"
  /** The call was left, and waits a moment to be resumed. */
  | "away"
  | "connecting"
  | "reconnecting"
  /** The line was refused; `retry` opens it again. */
  | "cut"
  | "resting"
  | "listening"
  /** The user is speaking. */
  | "hearing"
  | "muted"
  | "thinking"
  | "speaking";

export interface SessionState {
  /** `away`: the call was left; `resume` goes on with it, `start` begins another one. */
  readonly phase: "idle" | "connecting" | "live" | "away";
  readonly status: Status;
  /** Of the line, and of picture and sound. */
  readonly links: { readonly line: Link; readonly picture: Link };
  /** In the order in which they began. */
  readonly turns: readonly Turn[];
  readonly canInterrupt: boolean;
  /** Whether a question waits to be taken. */
  readonly isAsking: boolean;
  readonly microphone: MicrophoneState;
  readonly talkMode: TalkMode;
  /** Whether the user talks while holding a button. */
  readonly isHolding: boolean;
  readonly problem: SessionProblem | null;
  /** Of the call, or of the one that was last. */
  readonly taskId: string | null;
  /** Of the conversation; the empty string where the persona's own was taken. */
  readonly lang: string;
  /** On this machine's clock, in milliseconds. */
  readonly startedAt: number | null;
  readonly persona: Persona | null;
  /** Of the digital human; the empty string until it is known. */
  readonly portraitUrl: string;
}

/** What the call itself knows of what goes on. */
export interface Goings {
  readonly isUserSpeaking: boolean;
  readonly activity: Activity;
}

export function statusOf(state: SessionState, { isUserSpeaking, activity }: Goings): Status {
  const { phase, links, isAsking, isHolding, talkMode, microphone } = state;
  if (phase !== "live") return phase;
  if (links.line === "given-up") return "cut";
  if (links.line === "broken" || links.line === "suspended" || links.picture === "broken") return "reconnecting";
  if (links.picture === "connecting") return "connecting";
  if (isUserSpeaking) return "hearing";
  if (isHolding) return "listening";
  if (activity !== "resting") return activity;
  if (isAsking) return "thinking";
  const open = { off: "resting", muted: "muted", on: "listening" } as const;
  return talkMode === "open" ? open[microphone] : "resting";
}
