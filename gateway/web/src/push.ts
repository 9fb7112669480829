// Push-to-talk: hold a button or the space bar, or tap it once to begin and again to send.

const TAP_MS = 300;
const INTERACTIVE = "input, textarea, select, button, summary, a, [tabindex], [contenteditable], dialog *";

type State = "up" | "held" | "latched";

export interface Talk {
  begin(): void;
  end(): void;
  cancel(): void;
}

export class PushToTalk {
  readonly #button: HTMLButtonElement;
  readonly #talk: Talk;
  readonly #isWanted: () => boolean;
  #state: State = "up";
  #pressedAt = 0;

  constructor(button: HTMLButtonElement, talk: Talk, isWanted: () => boolean) {
    this.#button = button;
    this.#talk = talk;
    this.#isWanted = isWanted;
    button.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !isWanted()) return;
      button.setPointerCapture(event.pointerId);
      this.#press();
    });
    button.addEventListener("pointerup", () => this.#release());
    button.addEventListener("pointercancel", () => this.cancel());
    button.addEventListener("contextmenu", (event) => event.preventDefault());
    addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.cancel();
      if (!this.#isMeant(event)) return;
      event.preventDefault();
      if (!event.repeat) this.#press();
    });
    addEventListener("keyup", (event) => {
      if (!this.#isMeant(event)) return;
      event.preventDefault();
      this.#release();
    });
    addEventListener("blur", () => this.cancel());
  }

  /** Discards what is being said. */
  cancel(): void {
    if (this.#state === "up") return;
    this.#to("up");
    this.#talk.cancel();
  }

  /** Sends what is being said. */
  finish(): void {
    if (this.#state === "up") return;
    this.#to("up");
    this.#talk.end();
  }

  #press(): void {
    if (this.#state === "latched") {
      this.finish();
      return;
    }
    this.#pressedAt = performance.now();
    this.#to("held");
    this.#talk.begin();
  }

  #release(): void {
    if (this.#state !== "held") return;
    if (performance.now() - this.#pressedAt < TAP_MS) this.#to("latched");
    else this.finish();
  }

  #to(state: State): void {
    this.#state = state;
    this.#button.dataset["state"] = state;
    this.#button.setAttribute("aria-pressed", String(state !== "up"));
  }

  #isMeant(event: KeyboardEvent): boolean {
    return this.#isWanted() && isFor(this.#button, event);
  }
}

/** Whether a key is meant for the button: the space bar is, except where it has a meaning of its own. */
export function isFor(button: HTMLButtonElement, event: KeyboardEvent): boolean {
  const target = event.target instanceof Element ? event.target : document.body;
  if (button.contains(target)) return event.key === " " || event.key === "Enter";
  return event.key === " " && !target.matches(INTERACTIVE);
}
