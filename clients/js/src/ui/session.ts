// What a user interface shows of a call and can do in it: one immutable state, which is replaced
// whenever something changes, and the user's actions. It knows no document.

import { Call, type CallListener, type CallOptions, type CallRequest, Ended, type Trace } from "../call.js";
import type { Config, ConversationEvent } from "../contract.js";
import { Conversation } from "../conversation.js";
import type { Abortable } from "../gateway.js";
import type { TurnDetection } from "../line.js";
import { Problem } from "../problem.js";
import { declarationsOf, handlersOf } from "../tools.js";
import type { SessionOptions, Setup } from "./options.js";
import { demandOf, OVER, OVERTAKEN, PASSING, type ProblemCode, problemFrom, problemOf, type SessionProblem } from "./problems.js";
import { type MicrophoneState, type SessionState, statusOf, type TalkMode } from "./state.js";
import { listing } from "./turns.js";
import { Voice } from "./voice.js";

const DEFAULT_MAX_AUDIO_S = 60;
const CONNECTING = { line: "connecting", picture: "connecting" } as const;

/** Where a call was left. */
interface Bookmark {
  readonly trace: Trace;
  /** The last event that the conversation has. */
  readonly after: number;
  readonly microphone: MicrophoneState;
}

/** Starts or resumes a call. */
type Opening = (setup: Setup, options: CallOptions, abortable: Abortable) => Promise<Call>;

/** Holds one call at a time, as a user interface shows it. */
export class Session {
  readonly #options: SessionOptions;
  readonly #subscribers = new Set<() => void>();
  readonly #voice: Voice;
  /** Of the call that is being opened or held. */
  #attempt: AbortController | null = null;
  /** Its request, of which the answer is waited for when the call is given up: it names the task to stop. */
  #request: AbortController | null = null;
  #call: Call | null = null;
  #left: Bookmark | null = null;
  /** As which the microphone is being opened. */
  #opening: MicrophoneState | null = null;
  #setup: Setup | null = null;
  #conversation = new Conversation({});
  #config: Config | null = null;
  #state: SessionState;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#voice = new Voice(options.microphone, options.talkMode ?? "open", {
      onAudio: (pcm) => this.#call?.line.sendAudio(pcm),
      onLevel: (level) => options.listener?.onLevel?.(level),
      onGone: (error) => {
        if (error) this.#fail(error);
        else this.#report({ ...problemOf("microphone-missing"), detail: "The microphone was unplugged." });
      },
      onVoice: (voice) => this.#change(voice),
    });
    this.#state = {
      ...this.#voice.state,
      phase: "idle",
      status: "idle",
      links: CONNECTING,
      turns: [],
      canInterrupt: false,
      isAsking: false,
      problem: null,
      taskId: null,
      lang: "",
      startedAt: null,
      persona: null,
      portraitUrl: "",
    };
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Of the call that is on, or was left: what `resume` needs after a reload. */
  get trace(): Trace | null {
    return this.#call?.trace ?? this.#left?.trace ?? null;
  }

  /** As which the microphone of that call is to be opened when it is resumed. */
  get microphone(): MicrophoneState {
    return this.#left?.microphone ?? this.#opening ?? this.#state.microphone;
  }

  /** Calls back whenever the state is replaced, until what it returns is called. */
  readonly subscribe = (callback: () => void): (() => void) => {
    this.#subscribers.add(callback);
    return () => this.#subscribers.delete(callback);
  };

  /**
   * Starts a call, unless there is one; ends one that was left. Resolves when it is on, or has failed with
   * a `problem`.
   */
  async start(): Promise<void> {
    if (this.#attempt) return;
    const left = this.#left;
    this.#left = null;
    this.#begin();
    await this.#open(async ({ gateway, request }, options, abortable) => {
      // First: there may be a limit to how many are on air.
      if (left) await gateway.stopTask(left.trace.taskId).catch(() => undefined);
      return Call.start(gateway, request, options, abortable);
    });
  }

  /**
   * Goes on with a call that was left, if there is one: by this session, or by a page of which `trace`
   * is what is left, with its microphone as it was. Resolves as `start` does.
   */
  async resume(trace?: Trace, microphone: MicrophoneState = "on"): Promise<void> {
    if (this.#attempt) return;
    if (trace) {
      this.#left = { trace, after: 0, microphone };
      this.#begin();
    }
    const left = this.#left;
    if (!left) return;
    this.#change({ problem: null });
    await this.#open(
      ({ gateway }, options) => Call.resume(gateway, left.trace, { ...options, after: left.after }),
      left.microphone,
    );
  }

  /** Ends the call, and takes the digital human off air. */
  async stop(): Promise<void> {
    const left = this.#left;
    this.#left = null;
    const call = this.#leave();
    this.#change({ problem: null });
    try {
      if (call) await call.stop();
      else if (left) await (this.#setup ?? (await this.#options.setup())).gateway.stopTask(left.trace.taskId);
    } catch (error) {
      this.#fail(error);
    }
  }

  /**
   * The user goes away, such as from the page, when requests may be dropped. The call ends unless it is
   * resumed within `lingerSeconds`.
   */
  goAway(lingerSeconds = 0): void {
    const call = this.#call;
    const { microphone } = this;
    call?.goAway(lingerSeconds);
    this.#request?.abort();
    if (call && lingerSeconds) this.#left = { trace: call.trace, after: call.line.sequence, microphone };
    this.#leave();
    this.#conversation.forgetVoice();
  }

  /** The network is another one: the sockets over the last one are dead, and may not know it. */
  reconnect(): void {
    this.#call?.line.reconnect();
    if (this.#state.links.picture === "given-up") this.#call?.watchAgain();
  }

  /** Asks in writing; of no effect without a call. */
  ask(text: string): void {
    this.#call?.line.ask(text);
    this.#change({ problem: this.#state.links.line === "broken" ? problemOf("unreachable") : null });
  }

  /** Cuts off what is said, and all that was asked before. */
  interrupt(): void {
    this.#call?.line.interrupt();
  }

  /** Mutes the open microphone. */
  mute(): void {
    if (this.#state.microphone === "on") this.#voice.change({ microphone: "muted" });
  }

  /** Unmutes the microphone; opens it where it was not allowed before. Of no effect without a call. */
  async unmute(): Promise<void> {
    if (!this.#attempt) return;
    this.#change({ problem: null });
    if (this.#state.microphone === "off") await this.#openMicrophone();
    else this.#voice.change({ microphone: "on" });
  }

  /** Changes how the user talks, also during a call. */
  changeTalkMode(talkMode: TalkMode): void {
    if (talkMode === this.#state.talkMode) return;
    this.cancel();
    this.#voice.change({ talkMode, microphone: this.#state.microphone === "off" ? "off" : "on" });
    if (this.#call) this.#reopen(this.#call);
  }

  /** The user has pressed the button and begins to talk: cuts a reply off. */
  async press(): Promise<void> {
    if (!this.#call || this.#state.isHolding) return;
    if (this.#state.canInterrupt) this.interrupt();
    this.#change({ problem: null });
    this.#voice.hold((this.#config?.maxAudioSeconds ?? DEFAULT_MAX_AUDIO_S) - 1, () => this.release());
    if (this.#state.microphone === "off") await this.#openMicrophone();
    if (this.#state.microphone === "off") this.cancel();
    else this.#voice.change({ microphone: "on" });
  }

  /** The user has let the button go: asks what was said. */
  release(): void {
    if (this.#voice.stopHolding()) this.#call?.line.commit();
    this.#change({});
  }

  /** Forgets what is said while the button is held. */
  cancel(): void {
    if (this.#voice.stopHolding()) this.#call?.line.reopen("MANUAL");
  }

  /** Does what may solve the problem: opens the call, or again what was given up of it. */
  async retry(): Promise<void> {
    this.#change({ problem: null });
    if (!this.#call) return this.#left ? this.resume() : this.start();
    const { line, picture } = this.#state.links;
    if (line === "given-up") this.#reopen(this.#call);
    if (picture === "given-up") this.#call.watchAgain();
  }

  /** The user has read the problem. */
  dismiss(): void {
    this.#change({ problem: null });
  }

  /** Forgets the last call, before another one. */
  #begin(): void {
    this.#conversation = listing({
      onTurns: (turns) => this.#change({ turns }),
      onEnd: (turn) => this.#options.listener?.onTurn?.(turn),
    });
    this.#change({ turns: [], taskId: null, startedAt: null });
  }

  async #open(open: Opening, microphone: MicrophoneState = "on"): Promise<void> {
    const attempt = (this.#attempt = new AbortController());
    const request = (this.#request = new AbortController());
    const { signal } = attempt;
    const left = this.#left;
    this.#change({ problem: null, links: CONNECTING });
    // Asked for in parallel to the call: without a microphone one can still write.
    if (microphone !== "off") void this.#openMicrophone(microphone);
    try {
      const setup = await this.#prepare(signal);
      const call = await open(setup, this.#callOptions(setup), request);
      if (!signal.aborted) this.#goLive(call);
      else if (left) call.leave();
      else await call.stop().catch(() => undefined);
    } catch (error) {
      if (!signal.aborted) this.#failToOpen(error);
    }
  }

  /** Finds out whom the call is with. */
  async #prepare(signal: AbortSignal): Promise<Setup> {
    const setup = (this.#setup = await this.#options.setup());
    signal.throwIfAborted();
    const config = setup.config ?? (await setup.gateway.config());
    signal.throwIfAborted();
    this.#config = config;
    const personaId = this.#left?.trace.personaId || setup.request.personaId || config.defaultPersonaId;
    const persona = config.personas.find((each) => each.personaId === personaId) ?? null;
    const digitalHumanId = setup.request.digitalHumanId || persona?.digitalHumanId;
    const face = config.digitalHumans.find((each) => each.digitalHumanId === digitalHumanId) ?? config.digitalHumans[0];
    this.#change({ persona, portraitUrl: face?.avatarUrl ?? "" });
    return { ...setup, request: { ...setup.request, personaId, ...declared(setup) } };
  }

  #callOptions({ createPlayer, tools, clientTools }: Setup): CallOptions {
    return { createPlayer, tools: { ...tools, ...handlersOf(clientTools ?? []) }, turnDetection: this.#detection, listener: this.#callListener };
  }

  #failToOpen(error: unknown): void {
    if (error instanceof Ended) return this.#endWith(error.reason);
    // It may still be there when the same is tried again.
    const problem = problemFrom(error, true);
    if (this.#left && OVER.has(problem.reason)) return this.#endWith("CLIENT_GONE");
    if (!problem.canRetry) this.#left = null;
    this.#leave();
    this.#report(problem);
  }

  #goLive(call: Call): void {
    this.#call = call;
    this.#left = null;
    const { taskId, personaId, lang, startedAt } = call.trace;
    this.#change({ taskId, lang, startedAt });
    this.#options.listener?.onConnected?.({ taskId, personaId, lang });
  }

  /** Leaves the call, if there is one; returns it. */
  #leave(): Call | null {
    const call = this.#call;
    this.#attempt?.abort();
    this.#attempt = null;
    this.#opening = null;
    this.#call = null;
    call?.leave();
    this.#voice.close();
    this.#change({ links: CONNECTING });
    return call;
  }

  #end(reason: string, problem: SessionProblem): void {
    const taskId = this.trace?.taskId;
    this.#left = null;
    this.#leave();
    this.#change({ problem: null });
    this.#report(problem);
    if (taskId) this.#options.listener?.onEnded?.({ taskId, reason });
  }

  #endWith(reason: string): void {
    this.#end(reason, { code: "ended", reason, detail: "", canRetry: true });
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
      onEnd: (reason) => this.#endWith(reason),
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

  #reopen(call: Call): void {
    this.#change({ links: { ...this.#state.links, line: "connecting" }, problem: null });
    call.line.reopen(this.#detection);
  }

  async #openMicrophone(microphone: MicrophoneState = "on"): Promise<void> {
    const attempt = this.#attempt;
    this.#opening = microphone;
    try {
      await this.#voice.open();
      if (attempt && attempt === this.#attempt) this.#voice.change({ microphone });
    } catch (error) {
      if (attempt === this.#attempt) this.#fail(error);
    } finally {
      if (attempt === this.#attempt) this.#opening = null;
    }
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
    const phase = this.#phase;
    const { isUserSpeaking, activity } = this.#conversation;
    const canInterrupt = phase === "live" && activity !== "resting";
    const isAsking = this.#call?.line.isAsking ?? false;
    const changed = { ...this.#state, ...change, phase, canInterrupt, isAsking };
    this.#state = { ...changed, status: statusOf(changed, { isUserSpeaking, activity }) };
    for (const callback of this.#subscribers) callback();
  }

  get #phase(): SessionState["phase"] {
    if (this.#call) return "live";
    if (this.#attempt) return "connecting";
    return this.#left ? "away" : "idle";
  }
}

/** What a call declares of the app's functions. */
function declared({ clientTools, request }: Setup): CallRequest {
  return clientTools?.length ? { clientTools: [...(request.clientTools ?? []), ...declarationsOf(clientTools)] } : {};
}
