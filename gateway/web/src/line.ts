// The open line to a digital human: voice and questions up, events down, over as many sockets as it
// takes. Every event is reported once and in order; a question that a broken socket may have lost is
// asked again.

import { backoffMs } from "./backoff";
import type { ConversationEvent, LineMessage, ReadyData } from "./contract";
import { openSocket, Problem } from "./gateway";
import { newId } from "./ids";
import type { Link } from "./link";

/** Who decides that the user has finished: the service, or the user by letting a button go. */
export type TurnDetection = "SERVER" | "MANUAL";

export interface LineListener {
  onEvent(event: ConversationEvent): void;
  onLine(link: Link): void;
  /** The line is refused; `reopen` tries again. */
  onRefusal(problem: Problem): void;
}

/** Codes from here on are 4000 plus an HTTP status: another try would be refused again. */
const REFUSED = 4000;
const READY_MS = 10_000;
/** A socket that lives this long ends the outage before it. */
const OUTAGE_OVER_MS = 5000;
/** A page that is reloaded is back by then; one that was closed costs no more. */
const LINGER_S = 15;
/** Five seconds of audio that the network does not take: the connection is dead. */
const MOST_UNSENT_BYTES = 160_000;
/** Of 20 ms each: what the user says in the last five seconds of an outage is sent afterwards. */
const MOST_WAITING_FRAMES = 250;

type Frame = Int16Array<ArrayBuffer>;

/** Something asked, which the next socket asks again unless it was taken. */
interface Question {
  readonly frames: readonly Frame[];
  readonly message: object;
  isTakenBy(event: ConversationEvent): boolean;
  /** The socket that it was sent by. */
  socket: WebSocket | null;
}

export class Line {
  readonly #taskId: string;
  readonly #listener: LineListener;
  #detection: TurnDetection;
  #socket: WebSocket | null = null;
  /** The last event that was reported. */
  #sequence = 0;
  /** The last event before the socket, null until it is ready. */
  #lastBefore: number | null = null;
  #link: Link = "connecting";
  #questions: Question[] = [];
  /** Audio since the button was pressed, or audio that could not be sent. */
  #frames: Frame[] = [];
  #problem: Problem | null = null;
  #failures = 0;
  #openedAt = 0;
  #mostUnsent = MOST_UNSENT_BYTES;
  #timer = 0;
  /** Reconnects now instead of waiting for the next try. */
  readonly #reconnect = (): void => {
    if (!this.#socket) this.#connect();
  };

  constructor(taskId: string, detection: TurnDetection, listener: LineListener) {
    this.#taskId = taskId;
    this.#detection = detection;
    this.#listener = listener;
    addEventListener("online", this.#reconnect);
    this.#connect();
  }

  /** The socket, once it takes messages. */
  get #readySocket(): WebSocket | null {
    return this.#lastBefore === null ? null : this.#socket;
  }

  /** Whether a question is waiting to be taken. */
  get isAsking(): boolean {
    return this.#questions.length > 0;
  }

  /** Sends audio of the microphone: all of it with SERVER, with MANUAL what is said while holding. */
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

  /** The user has let the button go. */
  commit(): void {
    const frames = this.#frames;
    this.#frames = [];
    if (!frames.length) return;
    const isTakenBy = ({ event }: ConversationEvent): boolean => event === "speech_ended";
    const message = { type: "commit" };
    this.#sendControl(message);
    this.#questions.push({ frames, message, isTakenBy, socket: this.#readySocket });
  }

  ask(text: string): void {
    const requestId = newId();
    const isTakenBy = (event: ConversationEvent): boolean =>
      event.event === "turn_started" && event.data.requestId === requestId;
    const message = { type: "text", text, requestId };
    this.#sendControl(message);
    this.#questions.push({ frames: [], message, isTakenBy, socket: this.#readySocket });
    this.#reconnect();
  }

  /** Says that the digital human is seen and heard: it greets the user, unless the call has begun. */
  greet(): void {
    this.#sendControl({ type: "greet" });
  }

  /** Cuts off what is said, and all that was asked before. */
  interrupt(): void {
    this.#questions = [];
    this.#sendControl({ type: "interrupt" });
  }

  /** Connects again where the line is; what was said and not committed is forgotten. */
  reopen(detection: TurnDetection): void {
    this.#detection = detection;
    this.#frames = [];
    this.#forgetSpoken();
    this.#failures = 0;
    this.#link = "connecting";
    this.#connect();
  }

  /** Reports that the user leaves, perhaps for a moment; false when the line is not open. */
  goAway(): boolean {
    this.#sendControl({ type: "leave", lingerSeconds: LINGER_S });
    return this.#readySocket !== null;
  }

  close(): void {
    removeEventListener("online", this.#reconnect);
    this.#drop();
  }

  #connect(): void {
    this.#drop();
    const query = { taskId: this.#taskId, turnDetection: this.#detection, after: String(this.#sequence) };
    const socket = openSocket(query);
    this.#socket = socket;
    this.#openedAt = performance.now();
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data as string) as LineMessage);
    socket.onclose = ({ code }) => this.#closed(code);
    this.#timer = window.setTimeout(() => this.#lose(), READY_MS);
  }

  /** Closes the socket silently. */
  #drop(): void {
    clearTimeout(this.#timer);
    this.#lastBefore = null;
    if (!this.#socket) return;
    this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
    this.#socket = null;
  }

  #closed(code: number): void {
    const problem = this.#problem;
    this.#problem = null;
    if (code < REFUSED) return this.#lose();
    this.#drop();
    this.#link = "given-up";
    const unknown = { status: code - REFUSED, reason: "INTERNAL", detail: `The line was closed with ${code}.` };
    this.#listener.onRefusal(problem ?? new Problem(unknown));
  }

  #lose(): void {
    this.#drop();
    if (performance.now() - this.#openedAt > OUTAGE_OVER_MS) this.#failures = 0;
    this.#setLink("broken");
    this.#timer = window.setTimeout(() => this.#connect(), backoffMs(this.#failures++));
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

  /** Reports an event once: another socket may send it again. */
  #report(event: ConversationEvent): void {
    if (event.sequence <= this.#sequence) return;
    this.#sequence = event.sequence;
    const taken = this.#questions.findIndex((question) => question.isTakenBy(event));
    if (taken >= 0) this.#questions.splice(taken, 1);
    this.#listener.onEvent(event);
    this.#noteArrival();
  }

  #begin({ lastSequence }: ReadyData): void {
    clearTimeout(this.#timer);
    this.#lastBefore = lastSequence;
    for (const frame of this.#frames) this.#send(frame);
    if (this.#detection === "SERVER") this.#frames = [];
    this.#mostUnsent = MOST_UNSENT_BYTES + (this.#socket?.bufferedAmount ?? 0);
    this.#noteArrival();
  }

  /** The line is back once what was missed has arrived, which shows which questions were taken. */
  #noteArrival(): void {
    if (this.#link === "connected" || this.#lastBefore === null || this.#sequence < this.#lastBefore) return;
    for (const question of this.#questions) if (question.socket !== this.#socket) this.#repeat(question);
    this.#setLink("connected");
  }

  #repeat(question: Question): void {
    question.socket = this.#socket;
    for (const frame of question.frames) this.#send(frame);
    this.#sendControl(question.message);
  }

  #setLink(link: Link): void {
    if (link === this.#link) return;
    this.#link = link;
    this.#listener.onLine(link);
  }

  #sendControl(message: object): void {
    if (this.#lastBefore !== null) this.#send(JSON.stringify(message));
  }

  #send(message: string | Frame): void {
    this.#socket?.send(message);
  }

  #forgetSpoken(): void {
    this.#questions = this.#questions.filter(({ frames }) => !frames.length);
  }
}
