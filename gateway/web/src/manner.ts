// How the user talks: hands-free into an open microphone, or while holding a button.

const MANNER = "parley.manner";

export type Manner = "hands-free" | "hold";

let chosen: Manner = localStorage.getItem(MANNER) === "hold" ? "hold" : "hands-free";

export function manner(): Manner {
  return chosen;
}

export function chooseManner(value: Manner): void {
  chosen = value;
  localStorage.setItem(MANNER, value);
}
