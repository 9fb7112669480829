// How the user talks: hands-free into an open microphone, or while holding a button.

// Kept in browsers under the name that it has always had.
const KEY = "parley.manner";

export type TalkMode = "hands-free" | "hold";

let chosen: TalkMode = localStorage.getItem(KEY) === "hold" ? "hold" : "hands-free";

export function talkMode(): TalkMode {
  return chosen;
}

export function chooseTalkMode(mode: TalkMode): void {
  chosen = mode;
  localStorage.setItem(KEY, mode);
}
