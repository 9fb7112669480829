// The status line: connection, activity, and duration of the call.

import { find } from "./dom";
import { t } from "./language";

export type Status =
  | "lobby"
  | "connecting"
  | "reconnecting"
  | "cut"
  | "resting"
  | "listening"
  | "hearing"
  | "muted"
  | "thinking"
  | "speaking";

export class StatusLine {
  readonly #element = find("status", HTMLElement);
  readonly #text = find("status-text", HTMLSpanElement);
  readonly #clock = find("clock", HTMLTimeElement);
  #status: Status = "lobby";
  #timer = 0;

  show(status: Status): void {
    this.#status = status;
    this.#element.dataset["status"] = status;
    this.translate();
  }

  translate(): void {
    const text = t(`status.${this.#status}`);
    // Assigning unchanged text would have screen readers announce it again.
    if (this.#text.textContent !== text) this.#text.textContent = text;
  }

  /** Shows how long ago a time of the page's clock was, in milliseconds. */
  startClock(startedAt: number): void {
    const tick = (): void => {
      const seconds = Math.floor((Date.now() - startedAt) / 1000);
      this.#clock.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    };
    tick();
    this.#clock.hidden = false;
    this.#timer = window.setInterval(tick, 1000);
  }

  stopClock(): void {
    clearInterval(this.#timer);
    this.#clock.hidden = true;
  }
}
