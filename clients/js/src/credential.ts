// What a caller shows the gateway, and tickets that are fetched when they are needed.

/** What a credential is for: a task that is known, one that is to be created, or neither. */
export type Purpose = { readonly taskId: string } | "new-task" | "any";

export interface CredentialRequest {
  readonly purpose: Purpose;
  /** What the gateway has just refused with 401: asked for once more, in case there is something newer. */
  readonly refused?: string;
  /** Names a task that is to be created, when the call may be repeated. */
  readonly idempotencyKey?: string;
}

/** Returns a key, a ticket or a user's token; "" for a gateway that is open. Asked before each request. */
export type CredentialProvider = (request: CredentialRequest) => string | Promise<string>;

/** The members of the gateway's answer to `tickets` that a client needs. */
export interface IssuedTicket {
  readonly ticket: string;
  /** RFC 3339. */
  readonly expiresAt: string;
}

/**
 * Fetches a ticket from your server, which asks the gateway for it with its key. `taskId` names the
 * task that it is for; it is undefined for a call that is yet to be created.
 */
export type FetchTicket = (taskId: string | undefined) => Promise<IssuedTicket>;

/** Returns a provider that keeps a ticket for as long as it is good, and then fetches the next. */
export function tickets(fetchTicket: FetchTicket): CredentialProvider {
  const keeper = new TicketKeeper(fetchTicket);
  return (request) => keeper.get(request);
}

/** The part of its life for which a ticket is used: requests under way must not meet its end. */
const USED_FOR = 0.8;

interface Kept {
  readonly ticket: string;
  /** On the clock of `performance`. */
  readonly usedUntil: number;
}

class TicketKeeper {
  readonly #fetchTicket: FetchTicket;
  #fetching: Promise<Kept> | null = null;
  /** The task that the ticket is bound to: it opens no other, and creates none. */
  #taskId: string | undefined;
  /** The call to create a task that the ticket was given for: it is good for no other. */
  #creation: string | symbol | undefined;

  constructor(fetchTicket: FetchTicket) {
    this.#fetchTicket = fetchTicket;
  }

  async get({ purpose, refused, idempotencyKey }: CredentialRequest): Promise<string> {
    if (purpose === "new-task") this.#bindToCreation(idempotencyKey ?? Symbol());
    else if (purpose !== "any") this.#bindToTask(purpose.taskId);
    const fetching = this.#current();
    const { ticket, usedUntil } = await fetching;
    if (ticket !== refused && performance.now() < usedUntil) return ticket;
    // Others may have noticed, too.
    if (this.#fetching === fetching) this.#fetching = null;
    return (await this.#current()).ticket;
  }

  #bindToCreation(creation: string | symbol): void {
    if (this.#creation !== undefined && this.#creation !== creation) this.#fetching = null;
    if (this.#taskId !== undefined) this.#fetching = null;
    this.#creation = creation;
    this.#taskId = undefined;
  }

  #bindToTask(taskId: string): void {
    if (this.#taskId !== undefined && this.#taskId !== taskId) this.#fetching = null;
    this.#taskId = taskId;
  }

  #current(): Promise<Kept> {
    if (this.#fetching) return this.#fetching;
    const fetching = this.#fetch();
    this.#fetching = fetching;
    fetching.catch(() => {
      if (this.#fetching === fetching) this.#fetching = null;
    });
    return fetching;
  }

  async #fetch(): Promise<Kept> {
    const { ticket, expiresAt } = await this.#fetchTicket(this.#taskId);
    const lifeMs = Date.parse(expiresAt) - Date.now();
    return { ticket, usedUntil: performance.now() + lifeMs * USED_FOR };
  }
}
