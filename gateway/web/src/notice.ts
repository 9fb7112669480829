// What the user must know of what went wrong, and what can be done about it.

import { messageOf, type SessionProblem } from "@parley/client/ui";
import { find } from "./dom";
import { t } from "./language";

export interface NoticeListener {
  onRetry(): void;
  onDismiss(): void;
}

export class Notice {
  readonly #element = find("notice", HTMLElement);
  readonly #text = find("notice-text", HTMLParagraphElement);
  readonly #retry = find("notice-retry", HTMLButtonElement);

  constructor({ onRetry, onDismiss }: NoticeListener) {
    this.#retry.addEventListener("click", onRetry);
    find("notice-dismiss", HTMLButtonElement).addEventListener("click", onDismiss);
  }

  show(problem: SessionProblem | null, isAsking: boolean): void {
    this.#element.hidden = !problem;
    if (!problem) return;
    const text = messageOf(problem, t, isAsking);
    // Assigning unchanged text would have screen readers announce it again.
    if (this.#text.textContent !== text) this.#text.textContent = text;
    // After a call, the call button begins another one.
    this.#retry.hidden = !problem.canRetry || problem.code === "ended";
  }
}
