// What the user can do during a call: talk, write, interrupt, hang up.

import { holdToTalk, type Session, type SessionState } from "@parley/client/ui";
import { find } from "./dom";
import { t, type Key } from "./language";

const INTERACTIVE = "input, textarea, select, button, summary, a, [tabindex], [contenteditable], dialog *";

export class Dock {
  readonly #session: Session;
  readonly #talkButton = find("talk", HTMLButtonElement);
  readonly #talkText = find("talk-text", HTMLSpanElement);
  readonly #talkHint = find("talk-hint", HTMLSpanElement);
  readonly #handsFree = find("hands-free", HTMLButtonElement);
  readonly #text = find("text", HTMLInputElement);
  readonly #sample = find("sample", HTMLButtonElement);
  readonly #interrupt = find("interrupt", HTMLButtonElement);
  #state: SessionState;
  #name = "";
  /** Whether the button was tapped, and is to be tapped again to send. */
  #isLatched = false;
  #undoHold: (() => void) | null = null;

  constructor(session: Session) {
    this.#session = session;
    this.#state = session.state;
    find("text-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#text.value.trim();
      this.#text.value = "";
      if (text) session.ask(text);
    });
    this.#sample.addEventListener("click", () => session.ask(this.#question));
    this.#interrupt.addEventListener("click", () => session.interrupt());
    find("hangup", HTMLButtonElement).addEventListener("click", () => void session.stop());
    this.#handsFree.addEventListener("click", () => session.changeTalkMode(this.#isOpen ? "hold" : "open"));
    this.#talkButton.addEventListener("click", () => {
      if (this.#isOpen) this.#toggleMicrophone();
    });
    addEventListener("keydown", (event) => this.#pressed(event));
  }

  render(state: SessionState, name: string): void {
    this.#state = state;
    this.#name = name;
    this.#renderWriting();
    this.#renderTalk();
    this.#handsFree.setAttribute("aria-checked", String(this.#isOpen));
    this.#interrupt.disabled = !state.canInterrupt;
  }

  /** Hands-free the space bar is for writing; on a phone, focus would open the on-screen keyboard. */
  focus(): void {
    const writes = this.#isOpen && matchMedia("(hover: hover) and (pointer: fine)").matches;
    (writes ? this.#text : this.#talkButton).focus();
  }

  /** Shows the microphone's level, 0 to 1. */
  showLevel(level: number): void {
    this.#talkButton.style.setProperty("--level", level.toFixed(3));
  }

  get #isOpen(): boolean {
    return this.#state.talkMode === "open";
  }

  get #isInCall(): boolean {
    return this.#state.phase === "live";
  }

  /** To begin with. */
  get #question(): string {
    return this.#state.persona?.sampleQuestions[this.#state.lang] ?? "";
  }

  #toggleMicrophone(): void {
    if (this.#state.microphone === "on") this.#session.mute();
    else void this.#session.unmute();
  }

  #pressed(event: KeyboardEvent): void {
    if (!this.#isInCall) return;
    if (event.key === "Escape" && this.#state.canInterrupt) this.#session.interrupt();
    const isElsewhere = event.target !== this.#talkButton;
    if (this.#isOpen && isElsewhere && !event.repeat && this.#isForTalking(event)) {
      event.preventDefault();
      this.#toggleMicrophone();
    }
  }

  /** Whether a key is meant for the button: the space bar is, except where it has a meaning of its own. */
  #isForTalking(event: KeyboardEvent): boolean {
    const target = event.target instanceof Element ? event.target : document.body;
    if (this.#talkButton.contains(target)) return event.key === " " || event.key === "Enter";
    return event.key === " " && !target.matches(INTERACTIVE);
  }

  #renderWriting(): void {
    const { turns, isAsking, microphone } = this.#state;
    const canJustSpeak = this.#isOpen && microphone === "on";
    this.#text.setAttribute("aria-label", t("dock.text", { name: this.#name }));
    this.#text.placeholder = t(canJustSpeak ? "dock.speak-or-text" : "dock.text", { name: this.#name });
    this.#sample.textContent = t("dock.sample", { question: this.#question });
    this.#sample.hidden = !this.#question || isAsking || turns.some(({ question }) => question);
  }

  #renderTalk(): void {
    const { microphone, isHolding } = this.#state;
    const isHold = !this.#isOpen;
    if (!isHolding) this.#isLatched = false;
    this.#talkButton.dataset["hearing"] = isHold ? "on" : microphone;
    this.#talkText.textContent = t(this.#talkKey);
    this.#talkHint.textContent = t(isHold ? "dock.talk.sub" : "dock.mute.sub");
    // A button whose name changes with its state must not be announced as pressed too.
    if (isHold) this.#talkButton.setAttribute("aria-pressed", String(isHolding));
    else this.#talkButton.removeAttribute("aria-pressed");
    if (isHold) this.#undoHold ??= this.#holdToTalk();
    else {
      this.#undoHold?.();
      this.#undoHold = null;
    }
  }

  get #talkKey(): Key {
    if (!this.#isOpen) return this.#isLatched ? "dock.send-recording" : "dock.talk";
    const keys = { off: "dock.microphone", muted: "dock.unmute", on: "dock.mute" } as const;
    return keys[this.#state.microphone];
  }

  #holdToTalk(): () => void {
    const session = this.#session;
    const talk = {
      press: () => session.press(),
      release: () => session.release(),
      cancel: () => session.cancel(),
      latch: () => {
        this.#isLatched = true;
        this.#renderTalk();
      },
    };
    const isMeant = (event: KeyboardEvent): boolean => this.#isInCall && this.#isForTalking(event);
    return holdToTalk(this.#talkButton, talk, () => session.state.isHolding, { target: window, isMeant });
  }
}
