// A call on a phone: what the user does, what the call reports, and what becomes of both while the app is not in
// front, or the phone changes its network.

import {
  type Activity,
  Call,
  type CallListener,
  type CallOptions,
  type CallRequest,
  Conversation,
  type ConversationEvent,
  type ConversationListener,
  Ended,
  type Gateway,
  type Link,
  Problem,
  type Trace,
  type Turn,
} from "@parley/client";
import type { Phone } from "./platform/phone";
import type { Picture } from "./players/screen";
import { Store } from "./store";
import { Talk } from "./talk";

/** A user who looks at another app for a minute comes back to the same call; afterwards it has ended. */
const LINGER_S = 60;
/** A reply that a newer question cut off is no failure. */
const OVERTAKEN = new Set(["DRIVE_SUPERSEDED", "CANCELLED", "TASK_ENDED"]);
/** The end of the call reports these, with the reason. */
const OVER = new Set(["TASK_ENDED", "TASK_NOT_FOUND"]);

/** `away`: the app is not in front, and the call waits for a minute. */
export type Phase = "idle" | "connecting" | "live" | "away";

export interface CallState {
  readonly phase: Phase;
  /** The states of the line, and of picture and sound. */
  readonly line: Link;
  readonly sight: Link;
  readonly picture: Picture | null;
  /** In order; the members of a turn change while it goes on. */
  readonly turns: readonly Turn[];
  readonly activity: Activity;
  readonly isUserSpeaking: boolean;
  /** Why the last thing that was tried did not succeed. */
  readonly failure: unknown;
  /** Why the last call ended, if not because the user hung up: a stop reason, FAILED, or UNSEEN. */
  readonly ended: string | null;
}

const IDLE: CallState = {
  phase: "idle",
  line: "connecting",
  sight: "connecting",
  picture: null,
  turns: [],
  activity: "resting",
  isUserSpeaking: false,
  failure: null,
  ended: null,
};

/** Where a call was left. */
interface Bookmark {
  readonly trace: Trace;
  /** The last event that the conversation has. */
  readonly after: number;
}

export class PhoneCall implements CallListener, ConversationListener {
  readonly state = new Store<CallState>(IDLE);
  readonly talk: Talk;
  readonly #gateway: Gateway;
  readonly #phone: Phone;
  readonly #unsubscribe: readonly (() => void)[];
  #conversation = new Conversation(this);
  #call: Call | null = null;
  #opening: AbortController | null = null;
  #left: Bookmark | null = null;

  constructor(gateway: Gateway, phone: Phone) {
    this.#gateway = gateway;
    this.#phone = phone;
    this.talk = new Talk(phone.audio);
    this.#unsubscribe = [
      phone.audio.listen(this.talk),
      phone.onNetwork(() => this.#changeNetwork()),
      phone.onFront((isInFront) => (isInFront ? void this.comeBack() : this.#goAway())),
    ];
  }

  /** Ends the call, and listens to the phone no more. */
  async close(): Promise<void> {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    await this.hangUp();
  }

  async start(request: CallRequest): Promise<void> {
    const conversation = (this.#conversation = new Conversation(this));
    this.state.change({ ...IDLE, phase: "connecting" });
    // Before there is a call: the question whether the app may listen takes it from the front.
    await this.talk.enter();
    // Another call was begun meanwhile.
    if (this.#conversation !== conversation) return;
    await this.#open((options, signal) => Call.start(this.#gateway, request, options, { signal }));
  }

  async hangUp(): Promise<void> {
    const call = this.#call;
    const left = this.#left;
    this.#end({});
    try {
      if (call) await call.stop();
      else if (left) await this.#gateway.stopTask(left.trace.taskId);
    } catch (failure) {
      this.state.change({ failure });
    }
  }

  /** Goes on with the call that was left; the system calls this when the app is in front again. */
  async comeBack(): Promise<void> {
    const left = this.#left;
    if (!left) return;
    this.state.change({ phase: "connecting", line: "connecting", sight: "connecting", failure: null });
    await this.talk.enter();
    await this.#open((options) => Call.resume(this.#gateway, left.trace, { ...options, after: left.after }));
  }

  ask(text: string): void {
    this.state.change({ failure: null });
    this.#call?.line.ask(text);
  }

  /** The user presses the button to talk. */
  beginTalking(): void {
    if (this.state.value.activity !== "resting") this.interrupt();
    void this.talk.hold();
  }

  interrupt(): void {
    this.#call?.line.interrupt();
  }

  /** Tries again what was given up. */
  retry(): void {
    const { line, sight } = this.state.value;
    this.state.change({ failure: null });
    if (this.#left) void this.comeBack();
    if (line === "given-up") this.#reopen();
    if (sight === "given-up") this.#call?.watchAgain();
  }

  onEvent(event: ConversationEvent): void {
    if (event.event === "turn_started") this.state.change({ failure: null });
    if (event.event === "turn_failed") this.#note(new Problem(event.data.problem));
    this.#conversation.apply(event);
    this.#showActivity();
  }

  onLine(line: Link): void {
    this.#conversation.forgetVoice();
    this.state.change({ line });
    this.#showActivity();
  }

  onRefusal(problem: Problem): void {
    this.state.change({ line: "given-up", failure: OVER.has(problem.reason) ? null : problem });
  }

  onPicture(sight: Link): void {
    this.state.change({ sight });
  }

  onUnseen(): void {
    void this.hangUp().then(() => this.state.change({ ended: "UNSEEN" }));
  }

  onEnd(ended: string): void {
    this.#end({ ended });
  }

  onTurn(): void {
    this.state.change({ turns: [...this.#conversation.turns.values()] });
  }

  onTurnGone(): void {
    this.onTurn();
  }

  async #open(open: (options: CallOptions, signal: AbortSignal) => Promise<Call>): Promise<void> {
    // The user has changed their mind meanwhile.
    if (this.state.value.phase !== "connecting") return;
    const opening = new AbortController();
    this.#opening = opening;
    try {
      const call = await open(this.#options(), opening.signal);
      if (!opening.signal.aborted) this.#goLive(call);
      else if (this.#left) call.leave();
      else await call.stop();
    } catch (error) {
      if (!opening.signal.aborted) this.#fail(error);
    }
  }

  #options(): CallOptions {
    const screen = { show: (picture: Picture | null) => this.state.change({ picture }) };
    return { listener: this, turnDetection: this.talk.detection, createPlayer: this.#phone.players(screen) };
  }

  #goLive(call: Call): void {
    this.#opening = null;
    this.#left = null;
    this.#call = call;
    this.talk.line = call.line;
    this.state.change({ phase: "live" });
  }

  #fail(error: unknown): void {
    if (error instanceof Ended) this.#end({ ended: error.reason });
    else if (error instanceof Problem && OVER.has(error.reason)) this.#end({ ended: "CLIENT_GONE" });
    else if (this.#left) {
      // It may still be there when the gateway answers again.
      this.talk.pause();
      this.state.change({ phase: "away", failure: error });
    } else this.#end({ failure: error });
  }

  /** Goes back to where a call is begun. */
  #end(how: Pick<Partial<CallState>, "ended" | "failure">): void {
    this.#opening?.abort();
    this.#opening = this.#call = this.#left = null;
    this.talk.leave();
    this.state.change({ ...IDLE, ...how });
  }

  #goAway(): void {
    const call = this.#call;
    if (call) {
      this.#left = { trace: call.trace, after: call.line.sequence };
      call.goAway(LINGER_S);
      this.#call = null;
      this.#conversation.forgetVoice();
    }
    this.#opening?.abort();
    if (this.#left) {
      this.talk.pause();
      this.state.change({ phase: "away" });
    } else if (this.#opening) {
      // What is not on air yet is not waited for.
      this.#end({});
    }
  }

  /** Sockets over another network are dead, and may not know it. */
  #changeNetwork(): void {
    this.#call?.line.reconnect();
    if (this.state.value.sight === "given-up") this.#call?.watchAgain();
  }

  #reopen(): void {
    this.state.change({ line: "connecting" });
    this.#call?.line.reopen(this.talk.detection);
  }

  #note(problem: Problem): void {
    if (OVERTAKEN.has(problem.reason)) return;
    // An open microphone picks up much that is no speech.
    if (problem.reason === "NO_SPEECH" && this.talk.state.value.mode === "hands-free") return;
    this.state.change({ failure: problem });
  }

  #showActivity(): void {
    const { activity, isUserSpeaking } = this.#conversation;
    this.state.change({ activity, isUserSpeaking });
  }
}
