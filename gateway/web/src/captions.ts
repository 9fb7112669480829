// Live captions: the question as it is recognised, the reply word by word as it is spoken.

import { captionOf, split, type Turn } from "@parley/client";
import { make, markUnheard } from "./dom";
import { t } from "./language";

export class Captions {
  readonly #element: HTMLElement;
  readonly #log: HTMLElement;
  readonly #lines = make("div", "lines");
  readonly #question = make("p", "user");
  readonly #reply = make("p", "reply");
  #turn: Turn | null = null;
  #hasSound = false;
  #frame = 0;

  /** `log` is what screen readers announce: whole sentences, not words. */
  constructor(element: HTMLElement, log: HTMLElement) {
    this.#element = element;
    this.#log = log;
    this.#lines.append(this.#question, this.#reply);
    element.append(this.#lines);
  }

  /** Shows a turn, unless a later one is shown already. */
  show(turn: Turn): void {
    if (this.#turn && turn.id < this.#turn.id) return;
    if (this.#turn?.id !== turn.id) this.#begin(turn);
    this.#question.textContent = turn.question;
    this.#question.dataset["final"] = String(turn.isQuestionFinal);
    if (turn.end) this.#finish(turn);
    else this.#follow();
  }

  /** Words appear only while there is sound for them to follow. */
  set hasSound(value: boolean) {
    this.#hasSound = value;
    if (value) this.#follow();
    else this.#stop();
  }

  /** Takes back a turn that was dismissed, and shows the one before it again. */
  takeBack(turn: Turn, before: Turn | undefined): void {
    if (this.#turn?.id !== turn.id) return;
    this.#turn = null;
    if (before) this.show(before);
    else this.clear();
  }

  clear(): void {
    this.#stop();
    this.#turn = null;
    this.#question.textContent = "";
    this.#reply.replaceChildren();
    this.#log.replaceChildren();
  }

  #begin(turn: Turn): void {
    this.#stop();
    this.#turn = turn;
    this.#reply.replaceChildren();
    // Restarts the entrance animation.
    this.#element.replaceChildren(this.#lines);
  }

  #follow(): void {
    const { end, spokenSince } = this.#turn ?? {};
    if (this.#hasSound && !end && spokenSince != null && !this.#frame) this.#speak();
  }

  #stop(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
  }

  /** Shows the words that are due, frame by frame; the rest of their sentence keeps its place. */
  #speak(): void {
    this.#frame = requestAnimationFrame(() => this.#speak());
    if (!this.#turn) return;
    const words = captionOf(this.#turn);
    for (const { text } of words.slice(this.#reply.childElementCount)) this.#reply.append(make("span", "coming", text));
    for (const [index, { isSpoken }] of words.entries()) {
      const word = this.#reply.children[index];
      if (word && isSpoken) word.className = "word";
    }
  }

  #finish({ question, end }: Turn): void {
    if (!end) return;
    this.#stop();
    const [heard, unheard] = split(end);
    this.#reply.replaceChildren(...markUnheard(heard, unheard));
    this.#announce(question, heard);
  }

  #announce(question: string, heard: string): void {
    if (question) this.#log.append(make("p", "", `${t("captions.you")}: ${question}`));
    if (heard) this.#log.append(make("p", "", heard));
  }
}
