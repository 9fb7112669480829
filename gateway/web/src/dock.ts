// What the user can do during a call: talk, write, interrupt, hang up.

import { find } from "./dom";
import { t } from "./language";
import { PushToTalk, type Talk } from "./push";

export interface DockActions extends Talk {
  write(text: string): void;
  interrupt(): void;
  hangUp(): void;
}

export class Dock {
  readonly #talkButton = find("talk", HTMLButtonElement);
  readonly #talkText = find("talk-text", HTMLSpanElement);
  readonly #text = find("text", HTMLInputElement);
  readonly #sample = find("sample", HTMLButtonElement);
  readonly #interrupt = find("interrupt", HTMLButtonElement);
  readonly #push: PushToTalk;
  #name = "";
  #question = "";

  constructor(actions: DockActions, isInCall: () => boolean) {
    this.#push = new PushToTalk(this.#talkButton, actions, isInCall);
    find("text-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#text.value.trim();
      this.#text.value = "";
      if (text) actions.write(text);
    });
    this.#sample.addEventListener("click", () => actions.write(this.#question));
    this.#interrupt.addEventListener("click", () => actions.interrupt());
    find("hangup", HTMLButtonElement).addEventListener("click", () => actions.hangUp());
    addEventListener("keydown", (event) => {
      if (event.key === "Escape" && isInCall() && !this.#interrupt.disabled) actions.interrupt();
    });
    new MutationObserver(() => this.translate()).observe(this.#talkButton, { attributeFilter: ["data-state"] });
  }

  /** Makes ready for a call with somebody, and suggests a first question. */
  open(name: string, question: string): void {
    this.#name = name;
    this.#question = question;
    this.#sample.hidden = !question;
    this.translate();
    this.#talkButton.focus();
  }

  hideSample(): void {
    this.#sample.hidden = true;
  }

  set canInterrupt(value: boolean) {
    this.#interrupt.disabled = !value;
  }

  /** Shows how loud the microphone hears, 0 to 1. */
  showLevel(level: number): void {
    this.#talkButton.style.setProperty("--level", level.toFixed(3));
  }

  /** Sends what is being said. */
  finishTalking(): void {
    this.#push.finish();
  }

  /** Forgets what is being said. */
  cancelTalking(): void {
    this.#push.cancel();
  }

  translate(): void {
    this.#text.placeholder = t("dock.text", { name: this.#name });
    this.#text.setAttribute("aria-label", this.#text.placeholder);
    this.#sample.textContent = t("dock.sample", { question: this.#question });
    const isLatched = this.#talkButton.dataset["state"] === "latched";
    this.#talkText.textContent = t(isLatched ? "dock.send-recording" : "dock.talk");
  }
}
