// What the user can do during a call: talk, write, interrupt, hang up.

import { find } from "./dom";
import { t, type Key } from "./language";
import { isFor, PushToTalk, type Talk } from "./push";
import { talkMode, type TalkMode } from "./talk_mode";

/** What the microphone does; `off` when there is none, or none is allowed. */
export type MicrophoneState = "off" | "muted" | "on";

export interface DockActions extends Talk {
  /** Mutes or unmutes the open microphone. */
  toggleMicrophone(): void;
  changeTalkMode(mode: TalkMode): void;
  write(text: string): void;
  interrupt(): void;
  hangUp(): void;
}

export class Dock {
  readonly #talkButton = find("talk", HTMLButtonElement);
  readonly #talkText = find("talk-text", HTMLSpanElement);
  readonly #talkHint = find("talk-hint", HTMLSpanElement);
  readonly #handsFree = find("hands-free", HTMLButtonElement);
  readonly #text = find("text", HTMLInputElement);
  readonly #sample = find("sample", HTMLButtonElement);
  readonly #interrupt = find("interrupt", HTMLButtonElement);
  readonly #push: PushToTalk;
  #microphone: MicrophoneState = "off";
  #name = "";
  #question = "";

  constructor(actions: DockActions, isInCall: () => boolean) {
    this.#push = new PushToTalk(this.#talkButton, actions, () => isInCall() && talkMode() === "hold");
    find("text-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#text.value.trim();
      this.#text.value = "";
      if (text) actions.write(text);
    });
    this.#sample.addEventListener("click", () => actions.write(this.#question));
    this.#interrupt.addEventListener("click", () => actions.interrupt());
    find("hangup", HTMLButtonElement).addEventListener("click", () => actions.hangUp());
    this.#handsFree.addEventListener("click", () => actions.changeTalkMode(talkMode() === "hold" ? "hands-free" : "hold"));
    this.#talkButton.addEventListener("click", () => {
      if (talkMode() === "hands-free") actions.toggleMicrophone();
    });
    addEventListener("keydown", (event) => {
      if (!isInCall()) return;
      if (event.key === "Escape" && !this.#interrupt.disabled) actions.interrupt();
      const isElsewhere = event.target !== this.#talkButton;
      if (talkMode() === "hands-free" && isElsewhere && !event.repeat && isFor(this.#talkButton, event)) {
        event.preventDefault();
        actions.toggleMicrophone();
      }
    });
    new MutationObserver(() => this.translate()).observe(this.#talkButton, { attributeFilter: ["data-state"] });
  }

  /** Gets ready for a call with a digital human, and suggests a first question. */
  open(name: string, question: string): void {
    this.#name = name;
    this.#question = question;
    this.#sample.hidden = !question;
    this.translate();
    // Hands-free the space bar is for writing; on a phone, focus would open the on-screen keyboard.
    const writes = talkMode() === "hands-free" && matchMedia("(hover: hover) and (pointer: fine)").matches;
    (writes ? this.#text : this.#talkButton).focus();
  }

  /** What the digital human is called. */
  set name(value: string) {
    this.#name = value;
    this.translate();
  }

  hideSample(): void {
    this.#sample.hidden = true;
  }

  set canInterrupt(value: boolean) {
    this.#interrupt.disabled = !value;
  }

  set microphone(value: MicrophoneState) {
    this.#microphone = value;
    this.translate();
  }

  /** Shows the microphone's level, 0 to 1. */
  showLevel(level: number): void {
    this.#talkButton.style.setProperty("--level", level.toFixed(3));
  }

  /** Sends what is being said. */
  finishTalking(): void {
    this.#push.finish();
  }

  /** Discards what is being said. */
  cancelTalking(): void {
    this.#push.cancel();
  }

  translate(): void {
    const isHandsFree = talkMode() === "hands-free";
    this.#text.setAttribute("aria-label", t("dock.text", { name: this.#name }));
    const canJustSpeak = isHandsFree && this.#microphone === "on";
    this.#text.placeholder = t(canJustSpeak ? "dock.speak-or-text" : "dock.text", { name: this.#name });
    this.#sample.textContent = t("dock.sample", { question: this.#question });
    this.#handsFree.setAttribute("aria-checked", String(isHandsFree));
    this.#talkButton.dataset["hearing"] = isHandsFree ? this.#microphone : "on";
    this.#talkText.textContent = t(this.#talkKey);
    this.#talkHint.textContent = t(isHandsFree ? "dock.mute.sub" : "dock.talk.sub");
    // A button whose name changes with its state must not be announced as pressed too.
    if (isHandsFree) this.#talkButton.removeAttribute("aria-pressed");
    else this.#talkButton.ariaPressed ??= "false";
  }

  get #talkKey(): Key {
    if (talkMode() === "hold") return this.#talkButton.dataset["state"] === "latched" ? "dock.send-recording" : "dock.talk";
    const keys = { off: "dock.microphone", muted: "dock.unmute", on: "dock.mute" } as const;
    return keys[this.#microphone];
  }
}
