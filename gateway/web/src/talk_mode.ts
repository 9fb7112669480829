// How the user likes to talk, as the browser keeps it.

import type { TalkMode } from "@parley/client/ui";

// The name that it has always had.
const KEY = "parley.manner";

export function talkMode(): TalkMode {
  return localStorage.getItem(KEY) === "hold" ? "hold" : "open";
}

export function chooseTalkMode(mode: TalkMode): void {
  localStorage.setItem(KEY, mode);
}
