// What can go wrong in a session, by what can be done about it.

import { OriginRefused, Problem, Unreachable } from "../problem.js";

/** What the user must be told, by what can be done about it. */
export type ProblemCode =
  | "microphone-missing"
  | "microphone-denied"
  | "microphone-insecure"
  | "microphone-busy"
  /** The gateway does not accept the credential. */
  | "credentials"
  /** The gateway does not let pages of this site call; `detail` names its origin. */
  | "origin"
  | "busy"
  /** What the user, or whoever runs the gateway, may use is used up for hours or days. */
  | "used-up"
  | "unavailable"
  /** The line is broken, and is tried again by itself. */
  | "unreachable"
  /** The call could not be started, because the gateway does not answer. */
  | "not-reached"
  | "no-speech"
  | "audio"
  /** Picture and sound do not come, and are tried again by themselves. */
  | "player"
  | "player-gone"
  /** They never came, so the call was ended. */
  | "unseen"
  | "clock"
  | "internal"
  /** The call is over; `reason` says why. */
  | "ended";

export interface SessionProblem {
  readonly code: ProblemCode;
  /** The gateway's reason, as in docs/errors.md, a task's stop reason, or the empty string. */
  readonly reason: string;
  /** For developers, in English. */
  readonly detail: string;
  /** Whether `retry` may help. */
  readonly canRetry: boolean;
}

/** A reply that a newer question cut off is no failure. */
export const OVERTAKEN = new Set(["DRIVE_SUPERSEDED", "CANCELLED", "TASK_ENDED"]);
/** The task's own events report these, with the reason. */
export const OVER = new Set(["TASK_ENDED", "TASK_NOT_FOUND"]);
/** Problems that no longer apply when the next turn begins. */
export const PASSING = new Set<ProblemCode>(["busy", "used-up", "unavailable", "no-speech", "audio", "internal"]);
/** Limits that are not free again in a moment. */
const USED_UP = new Set(["BUDGET_EXCEEDED", "PROVIDER_QUOTA_EXCEEDED"]);
/** By the names of the errors with which browsers refuse a microphone. */
const MICROPHONE: Readonly<Record<string, ProblemCode>> = {
  NotFoundError: "microphone-missing",
  OverconstrainedError: "microphone-missing",
  NotAllowedError: "microphone-denied",
  SecurityError: "microphone-insecure",
  NotReadableError: "microphone-busy",
};
/** They pass by themselves, and the status shows them too. */
const HEALING = new Set<ProblemCode>(["unreachable", "player"]);

/** Returns a problem that the session finds itself. */
export function problemOf(code: ProblemCode, canRetry = false): SessionProblem {
  return { code, reason: "", detail: "", canRetry };
}

/** Returns the problem that an error is. */
export function problemFrom(error: unknown, canRetry = false): SessionProblem {
  const reason = error instanceof Problem ? error.reason : "";
  const detail = detailOf(error);
  return { code: codeOf(error), reason, detail, canRetry: canRetry && !isOfTheRequest(error) };
}

function detailOf(error: unknown): string {
  if (error instanceof OriginRefused) return error.origin;
  return error instanceof Error ? error.message : String(error);
}

/** Whether the same again would be refused again. */
function isOfTheRequest(error: unknown): boolean {
  return error instanceof Problem && [400, 403, 404].includes(error.status);
}

/** What a problem asks of the user: to wait, to read, or to decide. */
export function demandOf({ code, canRetry }: SessionProblem): number {
  if (canRetry) return 2;
  return HEALING.has(code) ? 0 : 1;
}

function codeOf(error: unknown): ProblemCode {
  if (error instanceof OriginRefused) return "origin";
  if (error instanceof Unreachable) return "not-reached";
  if (error instanceof Problem) return codeOfProblem(error);
  return error instanceof Error ? (MICROPHONE[error.name] ?? "internal") : "internal";
}

function codeOfProblem({ status, reason, isBusy }: Problem): ProblemCode {
  if (status === 401 || status === 403) return "credentials";
  if (reason === "NO_SPEECH") return "no-speech";
  if (reason.startsWith("AUDIO_")) return "audio";
  if (USED_UP.has(reason)) return "used-up";
  if (isBusy) return "busy";
  return status === 503 || status === 504 ? "unavailable" : "internal";
}
