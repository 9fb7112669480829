// The open line to a digital human: voice and questions up, events down, over as many sockets as it
// takes. Every event is reported once and in order; a question that a broken socket may have lost is
// asked again.

import { backoffMs } from "./backoff.js";
import type { ConversationEvent, LineMessage, ReadyData, Say, ToolCalledData } from "./contract.js";
import type { Gateway } from "./gateway.js";
import type { Link } from "./link.js";
import { type Frame, Outbox, type Sent } from "./outbox.js";
import { Problem } from "./problem.js";
import { newId } from "./request_id.js";
import type { Socket } from "./socket.js";
import { settles, ToolCalls, type ToolOutcome, type Tools } from "./tools.js";

/** Who decides that the user has finished: the service, or the user by letting a button go. */
export type TurnDetection = "SERVER" | "MANUAL";

/** All members are optional: listen to what you need. */
export interface LineListener {
  onEvent?(event: ConversationEvent): void;
  onLine?(link: Link): void;
  /** The line is refused; `reopen` tries again. */
  onRefusal?(problem: Problem): void;
  /** A tool has failed with an error that was not meant for the model. */
  onToolError?(error: unknown, call: ToolCalledData): void;
}

export interface LineOptions {
  readonly listener?: LineListener;
  /** Default: `SERVER`. */
  readonly turnDetection?: TurnDetection;
  /** The language of this line, if it is not the task's. */
  readonly lang?: string;
  /** The last event that the app has; default 0: all events of the task come first. */
  readonly after?: number;
  /** The functions of the app that the model may call. */
  readonly tools?: Tools;
}

/** Codes from here on are 4000 plus an HTTP status: another try would be refused again. */
const REFUSED = 4000;
const UNAUTHENTICATED = 4401;
const READY_MS = 10_000;
/** A socket that lives this long ends the outage before it. */
const OUTAGE_OVER_MS = 5000;
/** A page that is reloaded is back by then; one that was closed costs no more. */
const LINGER_S = 15;
/** Five seconds of audio that the network does not take: the connection is dead. */
const MOST_UNSENT_BYTES = 160_000;
/** Of 20 ms each: what the user says in the last five seconds of an outage is sent afterwards. */
const MOST_WAITING_FRAMES = 250;

/** Takes the place of the newest try: no other follows. */
const CLOSED = Symbol("closed");
/** What tells that the network is back; browsers have it. */
const network = globalThis as Partial<Pick<EventTarget, "addEventListener" | "removeEventListener">>;

export class Line {
  readonly #gateway: Gateway;
  readonly #taskId: string;
  readonly #listener: LineListener;
  readonly #lang: string | undefined;
  readonly #toolCalls: ToolCalls;
  readonly #outbox = new Outbox();
  #detection: TurnDetection;
  #socket: Socket | null = null;
  /** The last event that was reported. */
  #sequence: number;
  /** The last event before the socket, null until it is ready. */
  #lastBefore: number | null = null;
  #link: Link = "connecting";
  /** Audio since the button was pressed, or audio that could not be sent. */
  #frames: Frame[] = [];
  #problem: Problem | null = null;
  /** What the socket was opened with. */
  #credential = "";
  /** What the gateway has refused since it last let the line in. */
  #refused: string | undefined;
  #failures = 0;
  #openedAt = 0;
  #mostUnsent = MOST_UNSENT_BYTES;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Names the newest try to connect; null while there is none. */
  #attempt: symbol | null = null;
  /** Reconnects now instead of waiting for the next try. */
  readonly #hurry = (): void => {
    if (!this.#attempt) void this.#connect();
  };

  /** Opens at once, and again whenever it breaks, until it is closed or refused. */
  constructor(gateway: Gateway, taskId: string, { listener = {}, turnDetection, lang, after, tools }: LineOptions = {}) {
    this.#gateway = gateway;
    this.#taskId = taskId;
    this.#listener = listener;
    this.#detection = turnDetection ?? "SERVER";
    this.#lang = lang;
    this.#sequence = after ?? 0;
    this.#toolCalls = new ToolCalls(tools ?? {}, {
      onOutcome: (outcome) => this.#returnResult(outcome),
      onToolError: (error, call) => listener.onToolError?.(error, call),
    });
    network.addEventListener?.("online", this.#hurry);
    void this.#connect();
  }

  /** The socket, once it takes messages. */
  get #readySocket(): Socket | null {
    return this.#lastBefore === null ? null : this.#socket;
  }

  /** Whether a question is waiting to be taken. */
  get isAsking(): boolean {
    return this.#outbox.hasQuestion;
  }

  get link(): Link {
    return this.#link;
  }

  /** The last event that was reported: `after` of a line that goes on where this one is. */
  get sequence(): number {
    return this.#sequence;
  }

  /**
   * Sends audio of the microphone, 16-bit mono PCM at 16 kHz, at best 20 ms at a time: all of it,
   * silence included, with SERVER; with MANUAL what is said while holding.
   */
  sendAudio(frame: Frame): void {
    if (this.#detection === "MANUAL") {
      if (!this.#frames.length) this.#forgetSpoken();
      this.#frames.push(frame);
    } else if (this.#lastBefore === null) {
      this.#frames.push(frame);
      if (this.#frames.length > MOST_WAITING_FRAMES) this.#frames.shift();
    }
    if (this.#lastBefore === null) return;
    this.#send(frame);
    if ((this.#socket?.bufferedAmount ?? 0) > this.#mostUnsent) this.#lose();
  }

  /** The user has let the button go: what was sent since is the question. */
  commit(): void {
    const frames = this.#frames;
    this.#frames = [];
    if (!frames.length) return;
    const isTakenBy = ({ event }: ConversationEvent): boolean => event === "speech_ended";
    this.#post({ kind: "spoken", frames, message: { type: "commit" }, isTakenBy });
  }

  /** Asks in writing; returns the `requestId`, a UUID, that the question's `turn_started` will have. */
  ask(text: string, requestId = newId()): string {
    this.#post({ kind: "written", frames: [], message: { type: "text", text, requestId }, isTakenBy: startOf(requestId) });
    this.#hurry();
    return requestId;
  }

  /** Has a text said; returns its `requestId`. One of priority LOW is not repeated after a break. */
  say(text: string, options: Pick<Say, "priority" | "interruptible" | "requestId"> = {}): string {
    const requestId = options.requestId ?? newId();
    const message = { type: "say", text, ...options, requestId };
    if (options.priority === "LOW") this.#sendControl(message);
    else this.#post({ kind: "said", frames: [], message, isTakenBy: startOf(requestId) });
    return requestId;
  }

  /** Takes back a text that is to be said, or is being said. */
  withdraw(requestId: string): void {
    this.#outbox.forget(({ message }) => "requestId" in message && message.requestId === requestId);
    this.#sendControl({ type: "withdraw", requestId });
  }

  /** Says that the digital human is seen and heard: it greets the user, unless the call has begun. */
  greet(): void {
    this.#sendControl({ type: "greet" });
  }

  /** Cuts off what is said, and all that was asked before. */
  interrupt(): void {
    this.#outbox.forget(({ kind }) => kind !== "result");
    this.#sendControl({ type: "interrupt" });
  }

  /** Connects again where the line is; what was said and not committed is forgotten. */
  reopen(detection: TurnDetection = this.#detection): void {
    this.#detection = detection;
    this.#frames = [];
    this.#forgetSpoken();
    this.#failures = 0;
    this.#refused = undefined;
    this.#link = "connecting";
    void this.#connect();
  }

  /**
   * Connects anew where the line is, and keeps what was asked: for a network that has changed, of which
   * the old socket may not know.
   */
  reconnect(): void {
    this.#drop();
    this.#setLink("broken");
    void this.#connect();
  }

  /** Reports that the user leaves, perhaps for a moment; false when the line is not open. */
  goAway(lingerSeconds = LINGER_S): boolean {
    this.#sendControl({ type: "leave", lingerSeconds });
    return this.#readySocket !== null;
  }

  close(): void {
    network.removeEventListener?.("online", this.#hurry);
    this.#drop();
    this.#attempt = CLOSED;
  }

  async #connect(): Promise<void> {
    this.#drop();
    const attempt = Symbol();
    this.#attempt = attempt;
    this.#openedAt = performance.now();
    this.#timer = setTimeout(() => this.#lose(), READY_MS);
    const query = {
      taskId: this.#taskId,
      turnDetection: this.#detection,
      after: String(this.#sequence),
      ...(this.#lang && { lang: this.#lang }),
    };
    try {
      const { socket, credential } = await this.#gateway.openSocket(query, this.#refused);
      if (this.#attempt !== attempt) socket.close();
      else this.#listen(socket, credential);
    } catch (error) {
      if (this.#attempt !== attempt) return;
      if (error instanceof Problem) this.#refuse(error);
      else this.#lose();
    }
  }

  #listen(socket: Socket, credential: string): void {
    this.#socket = socket;
    this.#credential = credential;
    socket.addEventListener("message", ({ data }) => {
      if (socket === this.#socket) this.#receive(JSON.parse(data as string) as LineMessage);
    });
    socket.addEventListener("close", ({ code }) => {
      if (socket === this.#socket) this.#closed(code);
    });
  }

  /** Closes the socket silently. */
  #drop(): void {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#lastBefore = this.#socket = this.#attempt = null;
    socket?.close();
  }

  #closed(code: number): void {
    const problem = this.#problem;
    this.#problem = null;
    if (code < REFUSED) return this.#lose();
    if (code === UNAUTHENTICATED && this.#refused === undefined && this.#credential) {
      // A ticket may have expired since.
      this.#refused = this.#credential;
      void this.#connect();
      return;
    }
    const unknown = { status: code - REFUSED, reason: "INTERNAL", detail: `The line was closed with ${code}.` };
    this.#refuse(problem ?? new Problem(unknown));
  }

  #refuse(problem: Problem): void {
    this.#drop();
    this.#link = "given-up";
    this.#listener.onRefusal?.(problem);
  }

  #lose(): void {
    this.#drop();
    if (performance.now() - this.#openedAt > OUTAGE_OVER_MS) this.#failures = 0;
    this.#setLink("broken");
    this.#timer = setTimeout(() => void this.#connect(), backoffMs(this.#failures++));
  }

  #receive(message: LineMessage): void {
    if ("problem" in message) {
      this.#problem = new Problem(message.problem);
      return;
    }
    switch (message.event) {
      case "ready":
        this.#begin(message.data);
        break;
      case "conversation_suspended":
        this.#setLink("suspended");
        break;
      case "conversation_resumed":
        this.#setLink("connected");
        break;
      default:
        this.#report(message);
    }
  }

  /**
   * Reports an event. A socket brings what comes after `after`, once each; only behind the gateway
   * may a sequence be given anew, to an event that replaces one that was never recorded.
   */
  #report(event: ConversationEvent): void {
    this.#sequence = event.sequence;
    this.#outbox.take(event);
    this.#toolCalls.note(event);
    try {
      this.#listener.onEvent?.(event);
    } finally {
      this.#noteArrival();
    }
  }

  #begin({ lastSequence }: ReadyData): void {
    clearTimeout(this.#timer);
    this.#refused = undefined;
    this.#lastBefore = lastSequence;
    for (const frame of this.#frames) this.#send(frame);
    if (this.#detection === "SERVER") this.#frames = [];
    this.#mostUnsent = MOST_UNSENT_BYTES + (this.#socket?.bufferedAmount ?? 0);
    this.#noteArrival();
  }

  /** The line is back once what was missed has arrived, which shows which questions were taken. */
  #noteArrival(): void {
    if (this.#lastBefore === null || this.#sequence < this.#lastBefore) return;
    if (this.#link !== "connected") {
      for (const sent of this.#outbox.moveTo(this.#socket)) this.#transmit(sent);
      this.#setLink("connected");
    }
    this.#toolCalls.run();
  }

  #returnResult({ callId, ...outcome }: ToolOutcome): void {
    const isTakenBy = (event: ConversationEvent): boolean => settles(event, callId);
    this.#post({ kind: "result", frames: [], message: { type: "tool_result", callId, ...outcome }, isTakenBy });
  }

  /** Sends a message, and keeps it until it is taken. */
  #post(message: Omit<Sent, "socket">): void {
    this.#sendControl(message.message);
    this.#outbox.add({ ...message, socket: this.#readySocket });
  }

  #transmit({ frames, message }: Sent): void {
    for (const frame of frames) this.#send(frame);
    this.#sendControl(message);
  }

  #setLink(link: Link): void {
    if (link === this.#link) return;
    this.#link = link;
    this.#listener.onLine?.(link);
  }

  #sendControl(message: object): void {
    if (this.#lastBefore !== null) this.#send(JSON.stringify(message));
  }

  #send(message: string | Frame): void {
    this.#socket?.send(message);
  }

  #forgetSpoken(): void {
    this.#outbox.forget(({ kind }) => kind === "spoken");
  }
}

function startOf(requestId: string): (event: ConversationEvent) => boolean {
  return (event) => event.event === "turn_started" && event.data.requestId === requestId;
}
