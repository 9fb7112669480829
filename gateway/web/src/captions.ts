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
  #announced = 0;
  #isHeard = false;
  #frame = 0;

  /** `log` is what screen readers announce: whole sentences, not words. */
  constructor(element: HTMLElement, log: HTMLElement) {
    this.#element = element;
    this.#log = log;
    this.#lines.append(this.#question, this.#reply);
    element.append(this.#lines);
  }

  /** Shows the last of a call's turns; its words appear only while there is sound for them to follow. */
  show(turn: Turn | null, isHeard: boolean): void {
    const before = this.#turn;
    this.#turn = turn;
    this.#isHeard = isHeard;
    if (turn?.id !== before?.id) this.#begin();
    if (turn?.end && turn.end !== before?.end) this.#finish(turn);
    this.#question.textContent = turn?.question ?? "";
    this.#question.dataset["final"] = String(turn?.isQuestionFinal ?? true);
    if (!turn) this.#clear();
    this.#frame ||= requestAnimationFrame(this.#speak);
  }

  #clear(): void {
    this.#announced = 0;
    this.#log.replaceChildren();
  }

  #begin(): void {
    this.#reply.replaceChildren();
    // Restarts the entrance animation.
    this.#element.replaceChildren(this.#lines);
  }

  /** Shows the words that are due, frame by frame; the rest of their sentence keeps its place. */
  readonly #speak = (): void => {
    this.#frame = 0;
    const turn = this.#turn;
    if (!this.#isHeard || !turn || turn.end || turn.spokenSince === null) return;
    this.#frame = requestAnimationFrame(this.#speak);
    const words = captionOf(turn);
    for (const { text } of words.slice(this.#reply.childElementCount)) this.#reply.append(make("span", "coming", text));
    for (const [index, { isSpoken }] of words.entries()) {
      const word = this.#reply.children[index];
      if (word && isSpoken) word.className = "word";
    }
  };

  #finish({ id, question, end }: Turn): void {
    if (!end) return;
    const [heard, unheard] = split(end);
    this.#reply.replaceChildren(...markUnheard(heard, unheard));
    if (id <= this.#announced) return;
    this.#announced = id;
    if (question) this.#log.append(make("p", "", `${t("captions.you")}: ${question}`));
    if (heard) this.#log.append(make("p", "", heard));
  }
}
