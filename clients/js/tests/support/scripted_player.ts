// A player that shows something when the test says so.

import type { Player } from "@parley/client";

export class ScriptedPlayer implements Player {
  readonly lost: Promise<void>;
  isStopped = false;
  #show: () => void = () => undefined;
  #lose: () => void = () => undefined;
  #fail: (error: Error) => void = () => undefined;
  readonly #shown: Promise<void>;

  constructor() {
    this.#shown = new Promise((resolve, reject) => {
      this.#show = resolve;
      this.#fail = reject;
    });
    this.lost = new Promise((resolve) => (this.#lose = resolve));
  }

  play(): Promise<void> {
    return this.#shown;
  }

  show(): void {
    this.#show();
  }

  breakOff(): void {
    this.#lose();
  }

  stop(): void {
    this.isStopped = true;
    this.#fail(new Error("The call is over."));
  }
}
