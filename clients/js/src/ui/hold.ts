// Hold to talk: press a button or its key and hold it, or tap it once to begin and again to send.

/** Presses that are shorter than this are taps. */
const TAP_MS = 300;

/** What holding does; `Session` has these methods. */
export interface Talk {
  press(): void | Promise<void>;
  release(): void;
  cancel(): void;
}

/** Makes a button one to hold while talking; returns what undoes that. */
export function holdToTalk(button: HTMLElement, talk: Talk, isHolding: () => boolean): () => void {
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
  };
  const isKey = ({ key }: KeyboardEvent): boolean => key === " " || key === "Enter";
  button.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    button.setPointerCapture(event.pointerId);
    press();
  }, { signal });
  button.addEventListener("pointerup", release, { signal });
  button.addEventListener("pointercancel", () => talk.cancel(), { signal });
  button.addEventListener("contextmenu", (event) => event.preventDefault(), { signal });
  button.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && isHolding()) {
      event.stopPropagation();
      talk.cancel();
    }
    if (!isKey(event)) return;
    event.preventDefault();
    if (!event.repeat) press();
  }, { signal });
  button.addEventListener("keyup", (event) => {
    if (!isKey(event)) return;
    event.preventDefault();
    release();
  }, { signal });
  addEventListener("blur", () => talk.cancel(), { signal });
  return () => leaving.abort();
}
