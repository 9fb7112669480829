// Keeps a viewer's token valid, by the server's clock and not by the viewer's.

import { backoffMs } from "../backoff";
import { pause } from "../pause";
import type { Ticket } from "./ticket";

/** The part of a token's life after which it is renewed. */
const RENEW_AT = 0.8;
const FIRST_GAP_MS = 5000;
const LONGEST_GAP_MS = 300_000;
/** This many hints in a row, long before a token expires, are caused by a wrong clock. */
const TOO_EARLY = 3;
const CLOCK_IS_WRONG_MS = 60_000;

export interface RenewalActions {
  renew(): Promise<Ticket>;
  use(token: string): void;
  onWrongClock(): void;
}

export class Renewal {
  readonly #actions: RenewalActions;
  #hint = Promise.withResolvers<void>();

  /** Renews from now on, until `signal` is aborted. */
  constructor(ticket: Ticket, actions: RenewalActions, signal: AbortSignal) {
    this.#actions = actions;
    void this.#run(ticket, signal);
  }

  /** Takes a hint that the token is about to expire, which a wrong clock gives all the time. */
  hint(): void {
    this.#hint.resolve();
  }

  async #run(first: Ticket, signal: AbortSignal): Promise<void> {
    let ticket = first;
    let early = 0;
    while (!signal.aborted) {
      const since = performance.now();
      this.#hint = Promise.withResolvers<void>();
      const lifeMs = Math.max(FIRST_GAP_MS, ticket.lifetimeMs * RENEW_AT);
      await Promise.race([pause(lifeMs, signal), this.#hint.promise]);
      const ageMs = performance.now() - since;
      if (ageMs < ticket.lifetimeMs / 2) {
        early++;
        const isClockWrong = Math.abs(ticket.clockAheadMs) > CLOCK_IS_WRONG_MS;
        if (early === (isClockWrong ? 1 : TOO_EARLY)) this.#actions.onWrongClock();
        await pause(Math.min(LONGEST_GAP_MS, FIRST_GAP_MS * 2 ** (early - 1)) - ageMs, signal);
      } else early = 0;
      ticket = await this.#renewed(ticket, signal);
    }
  }

  /** Returns the next ticket; asks until the server answers. */
  async #renewed(last: Ticket, signal: AbortSignal): Promise<Ticket> {
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        const ticket = await this.#actions.renew();
        if (!signal.aborted) this.#actions.use(ticket.token);
        return ticket;
      } catch {
        await pause(backoffMs(failures), signal);
      }
    }
    return last;
  }
}
