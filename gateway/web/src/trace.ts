// What a reloaded page needs to resume its call; each tab has its own.

import type { Trace } from "@parley/client";

const TRACE = "parley.call";

export function leaveTrace(trace: Trace): void {
  sessionStorage.setItem(TRACE, JSON.stringify(trace));
}

export function findTrace(): Trace | null {
  return JSON.parse(sessionStorage.getItem(TRACE) ?? "null") as Trace | null;
}

export function forgetTrace(): void {
  sessionStorage.removeItem(TRACE);
}
