// Live captions: the question as it is recognised, the reply word by word as it is spoken.

import { captionOf } from "../captions.js";
import { type End, split, type Turn } from "../conversation.js";

/** What the captions are shown in. */
export interface CaptionElements {
  readonly question: HTMLElement;
  readonly reply: HTMLElement;
  /** What screen readers announce: whole sentences, not words. */
  readonly log: HTMLElement;
}

export interface Shown {
  /** Whether there is sound that words can follow. */
  readonly isHeard: boolean;
  /** What the user is called. */
  readonly you: string;
}

/** Words of a running reply are `<span class="word">`, and `coming` until they are spoken. */
export class Captions {
  readonly #elements: CaptionElements;
  #turn: Turn | null = null;
  #announced = 0;
  #isHeard = false;
  #frame = 0;

  constructor(elements: CaptionElements) {
    this.#elements = elements;
  }

  /** Shows the last of a call's turns, null for none. */
  show(turn: Turn | null, { isHeard, you }: Shown): void {
    const { question, reply } = this.#elements;
    const isOther = turn?.id !== this.#turn?.id || turn?.end !== this.#turn?.end;
    if (isOther) reply.replaceChildren(...(turn?.end ? markUnheard(turn.end) : []));
    if (!turn) this.#forget();
    else if (turn.end) this.#announce(turn, turn.end, you);
    this.#turn = turn;
    this.#isHeard = isHeard;
    const text = turn?.question ?? "";
    if (question.textContent !== text) question.textContent = text;
    question.dataset["final"] = String(turn?.isQuestionFinal ?? true);
    this.#frame ||= requestAnimationFrame(this.#speak);
  }

  /** Shows the words that are due, frame by frame; the rest of their sentence keeps its place. */
  readonly #speak = (): void => {
    this.#frame = 0;
    const turn = this.#turn;
    if (!this.#isHeard || !turn || turn.end || turn.spokenSince === null) return;
    this.#frame = requestAnimationFrame(this.#speak);
    const { reply } = this.#elements;
    const words = captionOf(turn);
    for (const { text } of words.slice(reply.childElementCount)) {
      const word = element("span", text);
      word.className = "coming";
      reply.append(word);
    }
    for (const [index, { isSpoken }] of words.entries()) {
      const word = reply.children[index];
      if (word && isSpoken) word.className = "word";
    }
  };

  #forget(): void {
    this.#announced = 0;
    this.#elements.log.replaceChildren();
  }

  #announce({ id, question }: Turn, { heard }: End, you: string): void {
    if (id <= this.#announced) return;
    this.#announced = id;
    const { log } = this.#elements;
    if (question) log.append(element("p", `${you}: ${question}`));
    if (heard) log.append(element("p", heard));
  }
}

/** A reply that is over, with the words that were not heard struck out. */
export function markUnheard(end: End): (Node | string)[] {
  const [heard, unheard] = split(end);
  const words = heard ? unheard.replace(/^[\s\p{Po}]+/u, "") : unheard.trimStart();
  const gap = unheard.slice(0, unheard.length - words.length);
  return [heard + gap, ...(words ? [element("s", words)] : [])];
}

function element(tag: "span" | "p" | "s", text: string): HTMLElement {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}
