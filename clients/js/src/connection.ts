// Requests and sockets to one gateway, with the caller's credential.

import type { CredentialProvider, Purpose } from "./credential.js";
import { OriginRefused, problemOf, Unreachable } from "./problem.js";
import type { Socket, SocketConstructor } from "./socket.js";
import { readEvents, type ServerEvent } from "./sse.js";

/** Accepted beside a credential, which the gateway does not send back. */
const SUBPROTOCOL = "parley.v1";
/** What may be a subprotocol: a token of HTTP. All but some keys of the gateway's settings are. */
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;
const ANSWER_MS = 20_000;

export interface GatewayOptions {
  /** Where the gateway is, such as `https://parley.example.com`. Default: where the page comes from. */
  readonly baseUrl?: string;
  /** Default: none, for a gateway that is open. */
  readonly credential?: CredentialProvider;
  /** Default: the platform's. */
  readonly fetch?: typeof fetch;
  /** Default: the platform's. Node before version 22 has none: use that of `ws`. */
  readonly WebSocket?: SocketConstructor;
}

export interface Request extends Omit<RequestInit, "signal"> {
  readonly purpose?: Purpose;
  readonly idempotencyKey?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** How long the answer may take; for a stream, how long its beginning may. */
  readonly deadlineMs?: number;
}

/** A socket that is opening, and what was shown for it. */
export interface Opened {
  readonly socket: Socket;
  readonly credential: string;
}

export class Connection {
  readonly #baseUrl: string;
  readonly #credential: CredentialProvider;
  readonly #fetch: typeof fetch;
  readonly #WebSocket: SocketConstructor | undefined;
  /** Of the page; undefined where there is none. */
  readonly #origin: string | undefined;

  constructor({ baseUrl, credential, fetch, WebSocket }: GatewayOptions) {
    const page = (globalThis as { location?: { origin: string } }).location;
    const base = baseUrl ?? page?.origin;
    if (!base) throw new TypeError("baseUrl: must be given where there is no page");
    this.#origin = page?.origin;
    this.#baseUrl = base.replace(/\/+$/, "");
    this.#credential = credential ?? (() => "");
    this.#fetch = fetch ?? ((input, init) => globalThis.fetch(input, init));
    this.#WebSocket = WebSocket;
  }

  /** Sends a request and reads its answer; throws a Problem or Unreachable. */
  async send<T>(path: string, request: Request, read: (response: Response) => Promise<T> | T): Promise<T> {
    const deadline = new Deadline(request.deadlineMs ?? ANSWER_MS, request.signal);
    try {
      return await read(await this.#answer(path, request, deadline.signal));
    } catch (error) {
      throw deadline.outage ?? error;
    } finally {
      deadline.release();
    }
  }

  /** Sends a request and yields the events of its answer; throws as `send` does. */
  async *stream(path: string, request: Request): AsyncGenerator<ServerEvent> {
    const deadline = new Deadline(request.deadlineMs ?? ANSWER_MS, request.signal);
    try {
      const response = await this.#answer(path, request, deadline.signal);
      deadline.meet();
      yield* readEvents(response);
    } catch (error) {
      throw deadline.outage ?? error;
    } finally {
      deadline.release();
    }
  }

  /** Begins to open a socket; its query must name what it needs. `refused` as for a credential. */
  async openSocket(path: string, query: Record<string, string>, purpose: Purpose, refused?: string): Promise<Opened> {
    const credential = await this.#credential({ purpose, ...(refused && { refused }) });
    // Browsers set no headers here, and addresses are kept in logs and histories.
    const isToken = TOKEN.test(credential);
    const given = new URLSearchParams({ ...query, ...(credential && !isToken && { apiKey: credential }) });
    const url = `${this.#baseUrl.replace(/^http/, "ws")}${path}?${given.toString()}`;
    const Constructor = this.#WebSocket ?? globalThis.WebSocket;
    const socket = new Constructor(url, isToken ? [SUBPROTOCOL, `parley.ticket.${credential}`] : []);
    // `close` follows. Node ends a process for an error that nobody listens to.
    socket.addEventListener("error", () => undefined);
    return { socket, credential };
  }

  async #answer(path: string, request: Request, signal: AbortSignal): Promise<Response> {
    const response = await this.#authorized(path, request, signal);
    if (!response.ok) throw await problemOf(response);
    return response;
  }

  /** Shows a credential, and once more where a newer one may help. */
  async #authorized(path: string, request: Request, signal: AbortSignal): Promise<Response> {
    const { purpose = "any", idempotencyKey } = request;
    const wanted = { purpose, ...(idempotencyKey && { idempotencyKey }) };
    const credential = await this.#credential(wanted);
    const response = await this.#request(path, request, credential, signal);
    if (response.status !== 401) return response;
    const next = await this.#credential({ ...wanted, refused: credential });
    return next === credential ? response : this.#request(path, request, next, signal);
  }

  #request(path: string, request: Request, credential: string, signal: AbortSignal): Promise<Response> {
    const { purpose: _, deadlineMs: __, signal: ___, idempotencyKey, ...init } = request;
    const headers = new Headers(init.headers);
    if (idempotencyKey) headers.set("Idempotency-Key", idempotencyKey);
    if (credential) headers.set("Authorization", `Bearer ${credential}`);
    return this.#fetch(this.#baseUrl + path, { ...init, headers, signal }).catch(async (error: unknown) => {
      // What every platform's fetch throws when there is no answer, or none that the page may read.
      if (!(error instanceof TypeError)) throw error;
      const refused = await this.#refusedOrigin(signal);
      throw refused ? new OriginRefused(refused) : new Unreachable(error.message);
    });
  }

  /** Returns the page's origin if the gateway answers, but not to pages of it. */
  async #refusedOrigin(signal: AbortSignal): Promise<string | undefined> {
    if (!this.#origin || this.#origin === new URL(this.#baseUrl).origin) return undefined;
    const look = (mode: "no-cors" | "cors"): Promise<unknown> => this.#fetch(`${this.#baseUrl}/livez`, { mode, signal });
    try {
      // Whatever it says, it is there; and nothing of it may be read.
      await look("no-cors");
    } catch {
      return undefined;
    }
    return look("cors").then(() => undefined, () => this.#origin);
  }
}

/** Aborts when the time is over, or when the caller does; not every platform can combine signals. */
class Deadline {
  /** What the wait has ended with when the time is over; React Native's signals have no reason. */
  outage: Unreachable | null = null;
  readonly #controller = new AbortController();
  readonly #caller: AbortSignal | undefined;
  readonly #timer: ReturnType<typeof setTimeout>;
  readonly #forward = (): void => this.#controller.abort(this.#caller?.reason);

  constructor(milliseconds: number, caller: AbortSignal | undefined) {
    this.#caller = caller;
    this.#timer = setTimeout(() => {
      this.outage = new Unreachable("The gateway does not answer in time.");
      this.#controller.abort(this.outage);
    }, milliseconds);
    if (caller?.aborted) this.#forward();
    else caller?.addEventListener("abort", this.#forward);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The answer has begun, and may take as long as it likes. */
  meet(): void {
    clearTimeout(this.#timer);
  }

  /** Lets go of the caller's signal, which may live much longer than the request. */
  release(): void {
    this.meet();
    this.#caller?.removeEventListener("abort", this.#forward);
  }
}
