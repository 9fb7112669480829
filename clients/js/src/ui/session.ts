// What a user interface shows of a call and can do in it: one immutable state, which is replaced
// whenever something changes, and the user's actions. It knows no document.

import { Call, type CallListener, type CallRequest } from "../call.js";
import type { Config, ConversationEvent } from "../contract.js";
import { Conversation, type ConversationListener, type Turn } from "../conversation.js";
import type { Gateway } from "../gateway.js";
import type { TurnDetection } from "../line.js";
import type { CreatePlayer } from "../player.js";
import { Problem } from "../problem.js";
import type { Tools } from "../tools.js";
import { demandOf, OVER, OVERTAKEN, PASSING, type ProblemCode, problemFrom, problemOf, type SessionProblem } from "./problems.js";
import { type MicrophoneState, type SessionState, statusOf, type TalkMode } from "./state.js";

/** What happened, for those who do not follow the state. */
export interface SessionListener {
  onConnected?(call: { taskId: string; personaId: string; lang: string }): void;
  /** A turn is over. */
  onTurn?(turn: Turn): void;
  /** `reason` is the task's stop reason, or FAILED. */
  onEnded?(call: { taskId: string; reason: string }): void;
  onProblem?(problem: SessionProblem): void;
  /** The microphone's level, 0 to 1. */
  onLevel?(level: number): void;
}

export interface SessionMicrophone {
  /** Throws a DOMException when there is none or it is not allowed. */
  open(): Promise<void>;
  close(): Promise<void>;
  isEnabled: boolean;
}

export interface SessionMicrophoneListener {
  onAudio(pcm: Int16Array<ArrayBuffer>): void;
  onLevel(level: number): void;
  onGone(): void;
}

/** What a call is made of; asked for anew with each. */
export interface Setup {
  readonly gateway: Gateway;
  readonly request: CallRequest;
  readonly createPlayer: CreatePlayer;
  readonly tools?: Tools;
}

export interface SessionOptions {
  readonly setup: () => Setup;
  /** Default: `open`. */
  readonly talkMode?: TalkMode;
  /** Called once, when the first call starts. */
  readonly microphone: (listener: SessionMicrophoneListener) => SessionMicrophone;
  readonly listener?: SessionListener;
}

const DEFAULT_MAX_AUDIO_S = 60;
const CONNECTING = { line: "connecting", picture: "connecting" } as const;

/** Holds one call at a time, as a user interface shows it. */
export class Session {
  readonly #options: SessionOptions;
  readonly #subscribers = new Set<() => void>();
  /** Of the call that is being started or held. */
  #attempt: AbortController | null = null;
  #call: Call | null = null;
  #opened: SessionMicrophone | null = null;
  #conversation = new Conversation({ onTurn: () => undefined, onTurnGone: () => undefined });
  #config: Config | null = null;
  #limit: ReturnType<typeof setTimeout> | undefined;
  #state: SessionState;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#state = {
      phase: "idle",
      status: "idle",
      links: CONNECTING,
      turns: [],
      canInterrupt: false,
      microphone: "off",
      talkMode: options.talkMode ?? "open",
      isHolding: false,
      problem: null,
      taskId: null,
      persona: null,
      portraitUrl: "",
    };
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Calls back whenever the state is replaced, until what it returns is called. */
  readonly subscribe = (callback: () => void): (() => void) => {
    this.#subscribers.add(callback);
    return () => this.#subscribers.delete(callback);
  };

  /** Starts a call, unless there is one. Resolves when it is on, or has failed with a `problem`. */
  async start(): Promise<void> {
    if (this.#attempt) return;
    const attempt = (this.#attempt = new AbortController());
    this.#conversation = this.#newConversation();
    this.#change({ turns: [], problem: null, taskId: null, links: CONNECTING });
    // Asked for in parallel to the call: without a microphone one can still write.
    void this.#openMicrophone();
    try {
      const call = await this.#open(attempt.signal);
      if (attempt.signal.aborted) await call.stop().catch(() => undefined);
      else this.#goLive(call);
    } catch (error) {
      if (attempt.signal.aborted) return;
      this.#leave();
      this.#fail(error, true);
    }
  }

  /** Ends the call, and takes the digital human off air. */
  async stop(): Promise<void> {
    const call = this.#leave();
    this.#change({ problem: null });
    try {
      await call?.stop();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The page goes away, when requests may be dropped, and nobody comes back to the call. */
  goAway(): void {
    this.#call?.goAway(0);
    this.#leave();
  }

  /** Asks in writing; of no effect without a call. */
  ask(text: string): void {
    this.#change({ problem: null });
    this.#call?.line.ask(text);
    this.#change({});
  }

  /** Cuts off what is said, and all that was asked before. */
  interrupt(): void {
    this.#call?.line.interrupt();
  }

  /** Mutes the open microphone. */
  mute(): void {
    if (this.#state.microphone === "on") this.#setMicrophone("muted");
  }

  /** Unmutes the microphone; opens it where it was not allowed before. Of no effect without a call. */
  async unmute(): Promise<void> {
    if (!this.#attempt) return;
    this.#change({ problem: null });
    if (this.#state.microphone === "off") await this.#openMicrophone();
    else this.#setMicrophone("on");
  }

  /** Changes how the user talks, also during a call. */
  changeTalkMode(talkMode: TalkMode): void {
    if (talkMode === this.#state.talkMode) return;
    this.cancel();
    this.#change({ talkMode });
    this.#setMicrophone(this.#state.microphone === "off" ? "off" : "on");
    if (this.#call) this.#reopen(this.#call);
  }

  /** The user has pressed the button and begins to talk: cuts a reply off. */
  async press(): Promise<void> {
    if (!this.#call || this.#state.isHolding) return;
    this.#change({ isHolding: true, problem: null });
    if (this.#state.canInterrupt) this.interrupt();
    const seconds = (this.#config?.maxAudioSeconds ?? DEFAULT_MAX_AUDIO_S) - 1;
    this.#limit = setTimeout(() => this.release(), seconds * 1000);
    if (this.#state.microphone === "off") await this.#openMicrophone();
    if (this.#state.microphone === "off") this.cancel();
    else this.#setMicrophone("on");
  }

  /** The user has let the button go: asks what was said. */
  release(): void {
    if (this.#stopHolding()) this.#call?.line.commit();
    this.#change({});
  }

  /** Forgets what is said while the button is held. */
  cancel(): void {
    if (this.#stopHolding()) this.#call?.line.reopen("MANUAL");
  }

  /** Does what may solve the problem: starts the call, or opens again what was given up. */
  async retry(): Promise<void> {
    this.#change({ problem: null });
    if (!this.#call) return this.start();
    const { line, picture } = this.#state.links;
    if (line === "given-up") this.#reopen(this.#call);
    if (picture === "given-up") this.#call.watchAgain();
  }

  /** The user has read the problem. */
  dismiss(): void {
    this.#change({ problem: null });
  }

  async #open(signal: AbortSignal): Promise<Call> {
    const { gateway, request, createPlayer, tools = {} } = this.#options.setup();
    const config = await gateway.config();
    signal.throwIfAborted();
    this.#config = config;
    const personaId = request.personaId || config.defaultPersonaId;
    const persona = config.personas.find((each) => each.personaId === personaId) ?? null;
    const digitalHumanId = request.digitalHumanId || persona?.digitalHumanId;
    const face = config.digitalHumans.find((each) => each.digitalHumanId === digitalHumanId) ?? config.digitalHumans[0];
    this.#change({ persona, portraitUrl: face?.avatarUrl ?? "" });
    return Call.start(
      gateway,
      { ...request, personaId },
      { createPlayer, tools, turnDetection: this.#detection, listener: this.#callListener },
    );
  }

  #goLive(call: Call): void {
    this.#call = call;
    const { taskId, personaId, lang } = call.trace;
    this.#change({ taskId });
    this.#options.listener?.onConnected?.({ taskId, personaId, lang });
  }

  /** Leaves the call, if there is one; returns it. */
  #leave(): Call | null {
    const call = this.#call;
    this.#attempt?.abort();
    this.#attempt = null;
    this.#call = null;
    this.#stopHolding();
    call?.leave();
    void this.#opened?.close();
    this.#change({ microphone: "off", links: CONNECTING });
    return call;
  }

  #end(reason: string, problem: SessionProblem): void {
    const { taskId } = this.#state;
    this.#leave();
    this.#change({ problem: null });
    this.#report(problem);
    if (taskId) this.#options.listener?.onEnded?.({ taskId, reason });
  }

  get #detection(): TurnDetection {
    return this.#state.talkMode === "hold" ? "MANUAL" : "SERVER";
  }

  get #callListener(): CallListener {
    return {
      onEvent: (event) => this.#take(event),
      onLine: (link) => {
        this.#change({ links: { ...this.#state.links, line: link } });
        this.#conversation.forgetVoice();
        if (link === "connected") this.#forget("unreachable");
        else if (link === "broken") this.#report(problemOf("unreachable"));
      },
      onRefusal: (problem) => {
        this.#change({ links: { ...this.#state.links, line: "given-up" } });
        if (!OVER.has(problem.reason)) this.#fail(problem, true);
      },
      onPicture: (link) => {
        this.#change({ links: { ...this.#state.links, picture: link } });
        if (link === "connected") this.#forget("player");
        if (link === "broken") this.#report(problemOf("player"));
        if (link === "given-up") this.#report(problemOf("player-gone", true));
      },
      onUnseen: () => {
        const call = this.#call;
        this.#end("UNSEEN", problemOf("unseen", true));
        call?.stop().catch(() => undefined);
      },
      onEnd: (reason) => this.#end(reason, { code: "ended", reason, detail: "", canRetry: true }),
      onWrongClock: () => this.#report(problemOf("clock")),
    };
  }

  #take(event: ConversationEvent): void {
    this.#conversation.apply(event);
    if (event.event === "turn_started") this.#forget(...PASSING);
    if (event.event === "turn_failed") this.#failTurn(new Problem(event.data.problem));
    this.#change({});
  }

  #failTurn(problem: Problem): void {
    // An open microphone picks up much that is no speech.
    const isNoise = problem.reason === "NO_SPEECH" && this.#state.talkMode === "open";
    if (!isNoise && !OVERTAKEN.has(problem.reason)) this.#fail(problem);
  }

  #newConversation(): Conversation {
    const replace = (turns: Iterable<Turn>): void => this.#change({ turns: [...turns] });
    const listener: ConversationListener = {
      onTurn: (turn) => {
        // A copy: the conversation goes on changing its own.
        const others = this.#state.turns.filter(({ id }) => id !== turn.id);
        replace([...others, { ...turn }].sort((one, other) => one.id - other.id));
        if (turn.end) this.#options.listener?.onTurn?.({ ...turn });
      },
      onTurnGone: ({ id }) => replace(this.#state.turns.filter((turn) => turn.id !== id)),
    };
    return new Conversation(listener);
  }

  #reopen(call: Call): void {
    this.#change({ links: { ...this.#state.links, line: "connecting" }, problem: null });
    call.line.reopen(this.#detection);
  }

  get #microphone(): SessionMicrophone {
    return (this.#opened ??= this.#options.microphone({
      onAudio: (pcm) => {
        const { talkMode, isHolding } = this.#state;
        if (talkMode === "open" || isHolding) this.#call?.line.sendAudio(pcm);
      },
      onLevel: (level) => this.#options.listener?.onLevel?.(level),
      onGone: () => {
        this.#setMicrophone("off");
        this.#report({ ...problemOf("microphone-missing"), detail: "The microphone was unplugged." });
      },
    }));
  }

  async #openMicrophone(): Promise<void> {
    const attempt = this.#attempt;
    try {
      await this.#microphone.open();
      if (attempt && attempt === this.#attempt) this.#setMicrophone("on");
    } catch (error) {
      if (attempt === this.#attempt) this.#fail(error);
    }
  }

  #setMicrophone(microphone: MicrophoneState): void {
    this.#change({ microphone });
    const { talkMode, isHolding } = this.#state;
    if (this.#opened) this.#opened.isEnabled = microphone === "on" && (talkMode === "open" || isHolding);
  }

  /** Returns whether the button was held. */
  #stopHolding(): boolean {
    if (!this.#state.isHolding) return false;
    clearTimeout(this.#limit);
    this.#change({ isHolding: false });
    this.#setMicrophone(this.#state.microphone);
    return true;
  }

  #fail(error: unknown, canRetry = false): void {
    this.#report(problemFrom(error, canRetry));
  }

  /** A problem does not replace one that asks more of the user. */
  #report(problem: SessionProblem): void {
    const shown = this.#state.problem;
    // What is tried again and again fails again and again.
    if (shown?.code === problem.code && shown.reason === problem.reason) return;
    this.#options.listener?.onProblem?.(problem);
    if (!shown || demandOf(problem) >= demandOf(shown)) this.#change({ problem });
  }

  #forget(...codes: ProblemCode[]): void {
    const { problem } = this.#state;
    if (problem && !problem.canRetry && codes.includes(problem.code)) this.#change({ problem: null });
  }

  #change(change: Partial<SessionState>): void {
    const changed = { ...this.#state, ...change, phase: this.#phase };
    const { isUserSpeaking, activity } = this.#conversation;
    const isAsking = this.#call?.line.isAsking ?? false;
    const canInterrupt = changed.phase === "live" && activity !== "resting";
    this.#state = { ...changed, canInterrupt, status: statusOf(changed, { isUserSpeaking, activity, isAsking }) };
    for (const callback of this.#subscribers) callback();
  }

  get #phase(): SessionState["phase"] {
    if (this.#call) return "live";
    return this.#attempt ? "connecting" : "idle";
  }
}
