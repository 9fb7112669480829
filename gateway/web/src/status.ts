// The status line: what goes on, and the duration of the call.

import type { Status } from "@parley/client/ui";
import { find } from "./dom";
import { t } from "./language";

export class StatusLine {
  readonly #element = find("status", HTMLElement);
  readonly #text = find("status-text", HTMLSpanElement);
  readonly #clock = find("clock", HTMLTimeElement);
  #status: Status = "idle";
  #startedAt: number | null = null;
  #timer = 0;

  /** `startedAt` is when the call began, on the page's clock in milliseconds; null without one. */
  show(status: Status, startedAt: number | null): void {
    this.#status = status;
    this.#element.dataset["status"] = status;
    this.translate();
    if (startedAt !== this.#startedAt) this.#count(startedAt);
  }

  translate(): void {
    const text = t(`status.${this.#status}`);
    // Assigning unchanged text would have screen readers announce it again.
    if (this.#text.textContent !== text) this.#text.textContent = text;
  }

  #count(startedAt: number | null): void {
    this.#startedAt = startedAt;
    clearInterval(this.#timer);
    this.#clock.hidden = startedAt === null;
    if (startedAt === null) return;
    const tick = (): void => {
      const seconds = Math.floor((Date.now() - startedAt) / 1000);
      this.#clock.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    };
    tick();
    this.#timer = window.setInterval(tick, 1000);
  }
}
