// A player that shows something when the test says so.

import type { Player } from "@parley/client";

export class ScriptedPlayer implements Player {
  readonly lost: Promise<void>;
  readonly stopped: Promise<void>;
  isStopped = false;
  #show: () => void = () => undefined;
  #lose: () => void = () => undefined;
  #end: () => void = () => undefined;
  #fail: (error: Error) => void = () => undefined;
  readonly #shown: Promise<void>;

  constructor() {
    this.#shown = new Promise((resolve, reject) => {
      this.#show = resolve;
      this.#fail = reject;
    });
    // It may be stopped before it plays.
    this.#shown.catch(() => undefined);
    this.lost = new Promise((resolve) => (this.#lose = resolve));
    this.stopped = new Promise((resolve) => (this.#end = resolve));
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
    this.#end();
    this.#fail(new Error("The call is over."));
  }
}
