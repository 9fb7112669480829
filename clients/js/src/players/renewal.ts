// Keeps a viewer's token valid, by the server's clock and not by the viewer's.

import { backoffMs } from "../backoff.js";
import { pause } from "../pause.js";
import type { ViewerToken } from "../viewer_token.js";

/** The part of a token's life after which it is renewed. */
const RENEW_AT = 0.8;
const FIRST_GAP_MS = 5000;
const LONGEST_GAP_MS = 300_000;
/** This many hints in a row, long before a token expires, are caused by a wrong clock. */
const TOO_EARLY = 3;
const CLOCK_IS_WRONG_MS = 60_000;

export interface RenewalActions {
  renew(): Promise<ViewerToken>;
  use(token: string): void;
  onWrongClock(): void;
}

export class Renewal {
  readonly #actions: RenewalActions;
  #wake: () => void = () => undefined;

  /** Renews from now on, until `signal` is aborted. */
  constructor(token: ViewerToken, actions: RenewalActions, signal: AbortSignal) {
    this.#actions = actions;
    void this.#run(token, signal);
  }

  /** Takes a hint that the token is about to expire, which a wrong clock gives all the time. */
  hint(): void {
    this.#wake();
  }

  async #run(first: ViewerToken, signal: AbortSignal): Promise<void> {
    let token = first;
    let early = 0;
    while (!signal.aborted) {
      const since = performance.now();
      const hinted = new Promise<void>((resolve) => (this.#wake = resolve));
      const lifeMs = Math.max(FIRST_GAP_MS, token.lifetimeMs * RENEW_AT);
      await Promise.race([pause(lifeMs, signal), hinted]);
      const ageMs = performance.now() - since;
      if (ageMs < token.lifetimeMs / 2) {
        early++;
        const isClockWrong = Math.abs(token.clockAheadMs) > CLOCK_IS_WRONG_MS;
        if (early === (isClockWrong ? 1 : TOO_EARLY)) this.#actions.onWrongClock();
        await pause(Math.min(LONGEST_GAP_MS, FIRST_GAP_MS * 2 ** (early - 1)) - ageMs, signal);
      } else early = 0;
      token = await this.#renewed(token, signal);
    }
  }

  /** Returns the next token; asks until the server answers. */
  async #renewed(last: ViewerToken, signal: AbortSignal): Promise<ViewerToken> {
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        const next = await this.#actions.renew();
        if (!signal.aborted) this.#actions.use(next.token);
        return next;
      } catch {
        await pause(backoffMs(failures), signal);
      }
    }
    return last;
  }
}
