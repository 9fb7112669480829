// What a reloaded page needs to resume its call; each tab has its own.

import type { Viewer } from "./players/player";

const TRACE = "parley.call";

export interface Trace {
  readonly taskId: string;
  readonly personaId: string;
  readonly lang: string;
  readonly viewer: Viewer;
  /** On the page's clock, in milliseconds. */
  readonly startedAt: number;
}

export function leaveTrace(trace: Trace): void {
  sessionStorage.setItem(TRACE, JSON.stringify(trace));
}

export function findTrace(): Trace | null {
  return JSON.parse(sessionStorage.getItem(TRACE) ?? "null") as Trace | null;
}

export function forgetTrace(): void {
  sessionStorage.removeItem(TRACE);
}
