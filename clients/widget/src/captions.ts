// Live captions: the question as it is recognised, the reply word by word as it is spoken.

import { captionOf, type End, split, type Turn } from "@parley/client";
import { make, setText } from "./dom.js";

export class Captions {
  readonly element = make("div", { class: "captions", part: "captions" });
  /** What screen readers announce: whole sentences, not words. */
  readonly log = make("div", { class: "unseen", role: "log", "aria-live": "polite" });
  readonly #question = make("p", { class: "question", part: "question" });
  readonly #reply = make("p", { class: "reply", part: "reply" });
  #turn: Turn | null = null;
  #announced = 0;
  #isHeard = false;
  #frame = 0;

  constructor() {
    this.element.append(make("div", { class: "lines" }, this.#question, this.#reply));
  }

  /** Shows the last of a call's turns; its words appear only while there is sound for them to follow. */
  show(turn: Turn | null, { isHeard, you }: { isHeard: boolean; you: string }): void {
    if (turn?.id !== this.#turn?.id || turn?.end !== this.#turn?.end) this.#draw(turn);
    if (!turn) this.#clear();
    else if (turn.end) this.#announce(turn, turn.end, you);
    this.#turn = turn;
    this.#isHeard = isHeard;
    setText(this.#question, turn?.question ?? "");
    this.#question.dataset["final"] = String(turn?.isQuestionFinal ?? true);
    this.#frame ||= requestAnimationFrame(this.#speak);
  }

  #clear(): void {
    this.#announced = 0;
    this.log.replaceChildren();
  }

  /** Shows the words that are due, frame by frame; the rest of their sentence keeps its place. */
  readonly #speak = (): void => {
    this.#frame = 0;
    const turn = this.#turn;
    if (!this.#isHeard || !turn || turn.end || turn.spokenSince === null) return;
    this.#frame = requestAnimationFrame(this.#speak);
    const words = captionOf(turn);
    for (const { text } of words.slice(this.#reply.childElementCount)) {
      this.#reply.append(make("span", { class: "coming" }, text));
    }
    for (const [index, { isSpoken }] of words.entries()) {
      const word = this.#reply.children[index];
      if (word && isSpoken) word.className = "word";
    }
  };

  /** Begins the reply of another turn, or strikes out what was not heard of one that has ended. */
  #draw(turn: Turn | null): void {
    if (!turn?.end) return this.#reply.replaceChildren();
    const [heard, unheard] = split(turn.end);
    const words = heard ? unheard.replace(/^[\s\p{Po}]+/u, "") : unheard.trimStart();
    const gap = unheard.slice(0, unheard.length - words.length);
    this.#reply.replaceChildren(heard + gap, ...(words ? [make("s", {}, words)] : []));
  }

  #announce({ id, question }: Turn, { heard }: End, you: string): void {
    if (id <= this.#announced) return;
    this.#announced = id;
    if (question) this.log.append(make("p", {}, `${you}: ${question}`));
    if (heard) this.log.append(make("p", {}, heard));
  }
}
