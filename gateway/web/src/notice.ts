// Notices to the user, with what can be done about them.

import { Problem, Unreachable } from "@parley/client";
import { find } from "./dom";
import { isKey, t, type Key } from "./language";

/** Notices that no longer apply when the next turn begins. */
const PASSING: readonly Key[] = ["error.busy", "error.unavailable", "error.no-speech", "error.audio", "error.internal"];

export class Notice {
  readonly #element = find("notice", HTMLElement);
  readonly #text = find("notice-text", HTMLParagraphElement);
  readonly #retry = find("notice-retry", HTMLButtonElement);
  readonly #dismiss = find("notice-dismiss", HTMLButtonElement);
  #shown: Key | null = null;

  constructor() {
    this.#dismiss.addEventListener("click", () => this.hide());
  }

  /** A notice without a choice does not replace one that the user must decide on. */
  show(key: Key, { retry, detail = "" }: { retry?: () => void; detail?: string } = {}): void {
    if (!retry && this.#offersRetry) return;
    this.#shown = key;
    this.#text.textContent = t(key, { detail });
    this.#retry.hidden = !retry;
    this.#retry.onclick = () => {
      this.hide();
      retry?.();
    };
    this.#element.hidden = false;
  }

  /** Shows an error in words that help the user. */
  showError(error: unknown, retry?: () => void): void {
    const detail = error instanceof Error ? error.message : String(error);
    this.show(keyOf(error), { detail, ...(retry && { retry }) });
  }

  /** Hides the notice of a failed turn, unless the user must decide on it. */
  hideFailure(): void {
    if (!this.#offersRetry) this.hide(...PASSING);
  }

  showEnd(reason: string): void {
    this.hide();
    const key = `ended.${reason}`;
    this.show(isKey(key) ? key : "ended.CLOUD");
  }

  get #offersRetry(): boolean {
    return !this.#element.hidden && !this.#retry.hidden;
  }

  /** Hides the notice; with keys, only one of them. */
  hide(...keys: Key[]): void {
    if (keys.length && !(this.#shown && keys.includes(this.#shown))) return;
    this.#shown = null;
    this.#element.hidden = true;
  }
}

function keyOf(error: unknown): Key {
  if (error instanceof Unreachable) return "error.unreachable";
  if (error instanceof DOMException) return keyOfMicrophone(error);
  if (!(error instanceof Problem)) return "error.internal";
  if (error.reason === "NO_SPEECH") return "error.no-speech";
  if (error.reason.startsWith("AUDIO_")) return "error.audio";
  if (error.isBusy) return "error.busy";
  return error.status === 503 || error.status === 504 ? "error.unavailable" : "error.internal";
}

function keyOfMicrophone({ name }: DOMException): Key {
  switch (name) {
    case "NotFoundError":
    case "OverconstrainedError":
      return "error.no-microphone";
    case "NotAllowedError":
      return "error.microphone-denied";
    case "SecurityError":
      return "error.microphone-insecure";
    case "NotReadableError":
      return "error.microphone-busy";
    default:
      return "error.internal";
  }
}
