// Hold to talk: press a button or its key and hold it, or tap it once to begin and again to send.

/** Presses that are shorter than this are taps. */
const TAP_MS = 300;

/** What holding does; `Session` has these methods. */
export interface Talk {
  press(): void | Promise<void>;
  release(): void;
  cancel(): void;
  /** The button was tapped: the next press sends. */
  latch?(): void;
}

/** By default the button's own: the space bar and Enter, while it has the focus. */
export interface HoldKeys {
  /** Where keys are listened to. */
  readonly target: EventTarget;
  /** Whether a key is meant for the button. */
  isMeant(event: KeyboardEvent): boolean;
}

/** Makes a button one to hold while talking; returns what undoes that. */
export function holdToTalk(button: HTMLElement, talk: Talk, isHolding: () => boolean, keys?: HoldKeys): () => void {
  const leaving = new AbortController();
  const { signal } = leaving;
  let pressedAt = 0;
  const press = (): void => {
    if (isHolding()) {
      talk.release();
      pressedAt = -Infinity;
      return;
    }
    pressedAt = performance.now();
    void talk.press();
  };
  const release = (): void => {
    if (performance.now() - pressedAt >= TAP_MS) talk.release();
    else if (isHolding()) talk.latch?.();
  };
  const { target, isMeant } = keys ?? { target: button, isMeant: ({ key }: KeyboardEvent) => key === " " || key === "Enter" };
  const onKey = (type: "keydown" | "keyup", listener: (event: KeyboardEvent) => void): void =>
    target.addEventListener(type, (event) => listener(event as KeyboardEvent), { signal });
  button.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    button.setPointerCapture(event.pointerId);
    press();
  }, { signal });
  button.addEventListener("pointerup", release, { signal });
  button.addEventListener("pointercancel", () => talk.cancel(), { signal });
  button.addEventListener("contextmenu", (event) => event.preventDefault(), { signal });
  onKey("keydown", (event) => {
    if (event.key === "Escape" && isHolding()) {
      event.stopImmediatePropagation();
      talk.cancel();
    }
    if (!isMeant(event)) return;
    event.preventDefault();
    if (!event.repeat) press();
  });
  onKey("keyup", (event) => {
    if (!isMeant(event)) return;
    event.preventDefault();
    release();
  });
  addEventListener("blur", () => talk.cancel(), { signal });
  return () => leaving.abort();
}
