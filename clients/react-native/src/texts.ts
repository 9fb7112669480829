// What the app says, in words.

import { Problem, Unreachable } from "@parley/client";

const ENDS: Readonly<Record<string, string>> = {
  REQUESTED: "The call was ended from elsewhere.",
  EXPIRED: "The call reached its time limit.",
  IDLE: "The call ended because nothing was said for a while.",
  CLIENT_GONE: "The call ended while you were away.",
  BUDGET: "The call ended because your time is used up.",
  QUOTA: "The call ended because its time is used up.",
  FAILED: "The digital human failed.",
  UNSEEN: "Picture and sound did not come, so the call was ended.",
};

export function textOfEnd(reason: string): string {
  return ENDS[reason] ?? "The digital human went off air.";
}

export function textOfFailure(error: unknown): string {
  if (error instanceof Unreachable) return "The server does not answer.";
  if (!(error instanceof Problem)) return "Something went wrong.";
  if (error.status === 401) return "The server does not know this key or ticket, or it has expired.";
  if (error.reason === "NO_SPEECH") return "I did not hear anything. Please say it again, a little closer to the microphone.";
  if (error.isBusy) return "All lines are busy. Please try again in a moment.";
  if (error.status === 503 || error.status === 504) return "A service that is needed does not answer. Please try again in a moment.";
  return `Something went wrong: ${error.message}`;
}
