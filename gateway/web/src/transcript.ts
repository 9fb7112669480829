// The drawer with the transcript and each turn's latency.

import type { Turn } from "@parley/client";
import { markUnheard } from "@parley/client/ui";
import { find, make } from "./dom";
import { t } from "./language";
import { makeWaterfall } from "./waterfall";

export class Transcript {
  readonly #drawer = find("transcript", HTMLElement);
  readonly #opener = find("transcript-open", HTMLButtonElement);
  readonly #closer = find("transcript-close", HTMLButtonElement);
  readonly #download = find("transcript-download", HTMLButtonElement);
  readonly #list = find("turns", HTMLOListElement);
  readonly #items = new Map<number, { turn: Turn; item: HTMLLIElement }>();
  #turns: readonly Turn[] = [];

  constructor(onDownload: () => void) {
    this.#opener.addEventListener("click", () => (this.#isOpen ? this.close() : this.#open()));
    this.#closer.addEventListener("click", () => this.close());
    this.#download.addEventListener("click", onDownload);
    this.#drawer.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      // Elsewhere the key interrupts.
      event.stopPropagation();
      this.close();
    });
  }

  get #isOpen(): boolean {
    return !this.#drawer.inert;
  }

  /** Shows the turns in which there is something to read. */
  show(turns: readonly Turn[]): void {
    if (turns === this.#turns) return;
    this.#turns = turns;
    const readable = turns.filter(({ question, origin, end }) => question || origin || end);
    const gone = new Set(this.#items.keys());
    for (const turn of readable) {
      gone.delete(turn.id);
      if (this.#items.get(turn.id)?.turn !== turn) this.#draw(turn);
    }
    for (const id of gone) this.#remove(id);
    this.#download.disabled = readable.length === 0;
  }

  translate(): void {
    for (const { turn } of this.#items.values()) this.#draw(turn);
  }

  close(): void {
    if (!this.#isOpen) return;
    const hadFocus = this.#drawer.contains(document.activeElement);
    this.#drawer.inert = true;
    this.#opener.setAttribute("aria-expanded", "false");
    document.body.classList.remove("has-drawer");
    if (hadFocus) this.#opener.focus();
  }

  #draw(turn: Turn): void {
    const known = this.#items.get(turn.id)?.item;
    const item = makeItem(turn);
    // A chart that was opened stays open.
    if (known?.querySelector("details")?.open) item.querySelector("details")?.setAttribute("open", "");
    if (known) known.replaceWith(item);
    else this.#list.append(item);
    this.#items.set(turn.id, { turn, item });
    this.#list.parentElement?.scrollTo({ top: this.#list.parentElement.scrollHeight });
  }

  #remove(id: number): void {
    this.#items.get(id)?.item.remove();
    this.#items.delete(id);
  }

  #open(): void {
    this.#drawer.inert = false;
    this.#opener.setAttribute("aria-expanded", "true");
    document.body.classList.add("has-drawer");
    this.#closer.focus();
  }
}

function makeItem(turn: Turn): HTMLLIElement {
  const item = make("li");
  if (turn.question) item.append(make("p", "user", turn.question));
  if (turn.origin === "PROMPT") item.append(make("p", "aside", t("transcript.prompt")));
  if (turn.origin === "RESUMED") item.append(make("p", "aside", t("transcript.resumed")));
  item.append(makeReply(turn));
  if (turn.end?.hasFailed) item.append(make("p", "failed", t("transcript.failed")));
  const waterfall = turn.end && makeWaterfall(turn.end.timings);
  if (waterfall) item.append(waterfall);
  return item;
}

function makeReply({ sentences, end }: Turn): HTMLElement {
  if (!end) return make("p", "reply", sentences.map((sentence) => sentence.text).join(" "));
  return make("p", "reply", ...markUnheard(end));
}
