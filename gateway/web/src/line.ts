// The open line to a digital human: voice and questions up, what happens down, over as many sockets
// as it takes. Every event is told once and in order; a question that a broken socket may have lost
// is asked again.

import { backoffMs } from "./backoff";
import type { LineMessage, Ready, TalkEvent } from "./contract";
import { Problem, socketUrl } from "./gateway";
import { newId } from "./ids";
import type { Link } from "./link";

/** Who hears that the user is finished: the service, or the user who lets a button go. */
export type TurnDetection = "SERVER" | "MANUAL";

export interface LineListener {
  onEvent(event: TalkEvent): void;
  onLine(link: Link): void;
  /** The line is refused; `reopen` tries again. */
  onRefusal(problem: Problem): void;
}

/** Codes from here are 4000 and a status of HTTP: trying again would be refused again. */
const REFUSED = 4000;
const READY_MS = 10_000;
/** A socket that has lived so long ends the outage before it. */
const OUTAGE_OVER_MS = 5000;
/** A page that is loaded again is back by then; one that was closed costs no more. */
const LINGER_S = 15;
/** Five seconds of sound that the network does not take: it is gone. */
const MOST_UNSENT_BYTES = 160_000;
/** What the user says within five seconds of an outage is heard afterwards. */
const MOST_WAITING = 250;

type Sound = Int16Array<ArrayBuffer>;

/** What was asked, and is asked again by the next socket unless it was taken. */
interface Question {
  readonly sounds: readonly Sound[];
  readonly message: object;
  isTakenBy(event: TalkEvent): boolean;
  /** The socket that it went by. */
  by: WebSocket | null;
}

export class Line {
  readonly #taskId: string;
  readonly #listener: LineListener;
  #detection: TurnDetection;
  #socket: WebSocket | null = null;
  /** The last event that was told. */
  #sequence = 0;
  /** The last event before the socket, null while that is not ready. */
  #past: number | null = null;
  #link: Link = "connecting";
  #questions: Question[] = [];
  /** What was said since the button was pressed, or could not be sent. */
  #sounds: Sound[] = [];
  #problem: Problem | null = null;
  #failures = 0;
  #openedAt = 0;
  #mostUnsent = MOST_UNSENT_BYTES;
  #timer = 0;
  /** Comes back now, not when it is time for another try. */
  readonly #hurry = (): void => {
    if (!this.#socket) this.#connect();
  };

  constructor(taskId: string, detection: TurnDetection, listener: LineListener) {
    this.#taskId = taskId;
    this.#detection = detection;
    this.#listener = listener;
    addEventListener("online", this.#hurry);
    this.#connect();
  }

  /** Whether something was asked of which nothing is known yet. */
  get isAsking(): boolean {
    return this.#questions.length > 0;
  }

  /** Takes what the microphone hears: all of it with SERVER, what is held with MANUAL. */
  hear(sound: Sound): void {
    if (this.#detection === "MANUAL") {
      if (!this.#sounds.length) this.#forgetSpoken();
      this.#sounds.push(sound);
    } else if (this.#past === null) {
      this.#sounds.push(sound);
      if (this.#sounds.length > MOST_WAITING) this.#sounds.shift();
    }
    if (this.#past === null) return;
    this.#send(sound);
    if ((this.#socket?.bufferedAmount ?? 0) > this.#mostUnsent) this.#lose();
  }

  /** The user has let the button go. */
  commit(): void {
    const sounds = this.#sounds;
    this.#sounds = [];
    if (!sounds.length) return;
    const isTakenBy = ({ name }: TalkEvent): boolean => name === "speech_ended";
    const message = { type: "commit" };
    this.#control(message);
    this.#questions.push({ sounds, message, isTakenBy, by: this.#past === null ? null : this.#socket });
  }

  ask(text: string): void {
    const requestId = newId();
    const isTakenBy = ({ name, data }: TalkEvent): boolean =>
      name === "turn_started" && data.requestId === requestId;
    const message = { type: "text", text, requestId };
    this.#control(message);
    this.#questions.push({ sounds: [], message, isTakenBy, by: this.#past === null ? null : this.#socket });
    this.#hurry();
  }

  /** Has the digital human say something, if it is silent. */
  say(text: string): void {
    this.#control({ type: "say", text, priority: "LOW" });
  }

  /** Cuts off what is said, and all that was asked before. */
  interrupt(): void {
    this.#questions = [];
    this.#control({ type: "interrupt" });
  }

  /** Begins anew where the line is; what was said and not committed is forgotten. */
  reopen(detection: TurnDetection): void {
    this.#detection = detection;
    this.#sounds = [];
    this.#forgetSpoken();
    this.#failures = 0;
    this.#link = "connecting";
    this.#connect();
  }

  /** Says that the user goes away, perhaps to come back in a moment; false when nobody hears it. */
  goAway(): boolean {
    this.#control({ type: "leave", lingerSeconds: LINGER_S });
    return this.#past !== null;
  }

  close(): void {
    removeEventListener("online", this.#hurry);
    this.#drop();
  }

  #connect(): void {
    this.#drop();
    const query = { taskId: this.#taskId, turnDetection: this.#detection, after: String(this.#sequence) };
    const socket = new WebSocket(socketUrl(query));
    this.#socket = socket;
    this.#openedAt = performance.now();
    socket.onmessage = ({ data }) => this.#take(JSON.parse(data as string) as LineMessage);
    socket.onclose = ({ code }) => this.#closed(code);
    this.#timer = window.setTimeout(() => this.#lose(), READY_MS);
  }

  /** Lets go of the socket without a word to anybody. */
  #drop(): void {
    clearTimeout(this.#timer);
    this.#past = null;
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
    this.#tell("broken");
    this.#timer = window.setTimeout(() => this.#connect(), backoffMs(this.#failures++));
  }

  #take(told: LineMessage): void {
    if ("problem" in told) {
      this.#problem = new Problem(told.problem);
    } else if (told.event === "ready") {
      this.#begin(told.data);
    } else if (told.event === "conversation_suspended") {
      this.#tell("suspended");
    } else if (told.event === "conversation_resumed") {
      this.#tell("connected");
    } else if (told.sequence > this.#sequence) {
      this.#sequence = told.sequence;
      const event = { name: told.event, data: told.data } as TalkEvent;
      const taken = this.#questions.findIndex((question) => question.isTakenBy(event));
      if (taken >= 0) this.#questions.splice(taken, 1);
      this.#listener.onEvent(event);
      this.#noteArrival();
    }
  }

  #begin({ lastSequence }: Ready): void {
    clearTimeout(this.#timer);
    this.#past = lastSequence;
    for (const sound of this.#sounds) this.#send(sound);
    if (this.#detection === "SERVER") this.#sounds = [];
    this.#mostUnsent = MOST_UNSENT_BYTES + (this.#socket?.bufferedAmount ?? 0);
    this.#noteArrival();
  }

  /** The line is back when what was missed has been told, by which it is known what was taken. */
  #noteArrival(): void {
    if (this.#link === "connected" || this.#past === null || this.#sequence < this.#past) return;
    for (const question of this.#questions) if (question.by !== this.#socket) this.#repeat(question);
    this.#tell("connected");
  }

  #repeat(question: Question): void {
    question.by = this.#socket;
    for (const sound of question.sounds) this.#send(sound);
    this.#control(question.message);
  }

  #tell(link: Link): void {
    if (link === this.#link) return;
    this.#link = link;
    this.#listener.onLine(link);
  }

  #control(message: object): void {
    if (this.#past !== null) this.#send(JSON.stringify(message));
  }

  #send(message: string | Sound): void {
    this.#socket?.send(message);
  }

  #forgetSpoken(): void {
    this.#questions = this.#questions.filter(({ sounds }) => !sounds.length);
  }
}
