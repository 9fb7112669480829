// A call: one task, with a line to talk over, a player, and a watch for its end.

import { backoffMs } from "./backoff.js";
import type { CreateTask, Task } from "./contract.js";
import type { Abortable, Gateway } from "./gateway.js";
import { Line, type LineListener, type LineOptions } from "./line.js";
import type { Link } from "./link.js";
import { pause, within } from "./pause.js";
import type { CreatePlayer, Player } from "./player.js";
import { Problem } from "./problem.js";
import { newId } from "./request_id.js";
import type { Viewer } from "./viewer_token.js";

/** The time to enter the room, or to connect, and to get the first picture. */
const STARTING_MS = 20_000;
const PLAYER_TRIES = 6;
/** An avatar that is not seen by then would cost money for nothing. */
const UNSEEN_MS = 30_000;
/** A client that is closed, or on a machine that sleeps, pays for no longer. */
const MAX_ABSENCE_S = 60;

/** All members are optional: listen to what you need. */
export interface CallListener extends LineListener {
  onPicture?(link: Link): void;
  /** Nothing was ever seen or heard of the digital human, and will not be. */
  onUnseen?(): void;
  /** The task is over; `reason` is its stop reason, or FAILED. */
  onEnd?(reason: string): void;
  /** The viewer's clock is so wrong that tokens seem to expire at once. */
  onWrongClock?(): void;
}

export interface CallOptions extends Omit<LineOptions, "listener"> {
  readonly listener?: CallListener;
  /** Makes what shows the digital human; without it, the call is the line alone. */
  readonly createPlayer?: CreatePlayer;
}

/** What is wanted: a member that is absent is chosen here or by the deployment. */
export type CallRequest = Partial<CreateTask>;

/** What a call needs to be resumed, such as by a page that was reloaded. It can be kept as JSON. */
export interface Trace {
  readonly taskId: string;
  readonly personaId: string;
  readonly lang: string;
  readonly viewer: Viewer;
  /** On this machine's clock, in milliseconds. */
  readonly startedAt: number;
}

/** A call that was to be resumed is over; `reason` as for `onEnd`. */
export class Ended extends Error {
  override readonly name = "Ended";
  readonly reason: string;

  constructor(reason: string) {
    super(`The call is over: ${reason}.`);
    this.reason = reason;
  }
}

export class Call {
  readonly trace: Trace;
  readonly line: Line;
  readonly #gateway: Gateway;
  readonly #listener: CallListener;
  readonly #createPlayer: CreatePlayer | undefined;
  readonly #leaving = new AbortController();
  #player: Player | null = null;
  #picture: Link;
  #wasSeen = false;

  private constructor(gateway: Gateway, trace: Trace, { createPlayer, listener = {}, ...options }: CallOptions) {
    this.trace = trace;
    this.#gateway = gateway;
    this.#listener = listener;
    this.#createPlayer = createPlayer;
    // Who only listens has nothing to wait for.
    this.#picture = createPlayer ? "connecting" : "connected";
    this.line = new Line(gateway, trace.taskId, { ...options, listener: this.#lineListener() });
    void this.#watch();
    if (createPlayer) void this.#play(createPlayer);
  }

  /** Puts the digital human on air, then opens the line, watches the task and plays the stream. */
  static async start(
    gateway: Gateway,
    request: CallRequest,
    options: CallOptions = {},
    { signal }: Abortable = {},
  ): Promise<Call> {
    const id = newId();
    const given = Object.entries(request).filter(([, value]) => value !== undefined);
    const task = await gateway.createTask(
      {
        roomId: `room_${id}`,
        streamId: `stream_${id}`,
        maxAbsenceSeconds: MAX_ABSENCE_S,
        greetWhen: "WATCHED",
        ...Object.fromEntries(given),
      },
      { signal },
    );
    // Of the answer: a tenant's rooms and streams begin with its name.
    const { taskId, roomId, streamId } = task;
    const viewer = { roomId, streamId, userId: `user_${id}` };
    const { personaId = request.personaId ?? "", lang = request.lang ?? "" } = task;
    return new Call(gateway, { taskId, lang, personaId, viewer, startedAt: Date.now() }, options);
  }

  /** Resumes a call; rejects with Ended if it is over. */
  static async resume(gateway: Gateway, trace: Trace, options: CallOptions = {}): Promise<Call> {
    const ended = endOf(await gateway.task(trace.taskId));
    if (ended) throw new Ended(ended);
    return new Call(gateway, trace, options);
  }

  /** Leaves the call, and takes the digital human off air. */
  async stop(): Promise<void> {
    this.leave();
    await this.#gateway.stopTask(this.trace.taskId);
  }

  /** Plays again after the player had given up. */
  watchAgain(): void {
    if (!this.#createPlayer) return;
    this.#setPicture("connecting");
    void this.#play(this.#createPlayer);
  }

  /**
   * Leaves, perhaps for a moment: a digital human without a user would cost money for nothing. It stays
   * for `lingerSeconds`, 15 unless given, in which `resume` goes on with the call.
   */
  goAway(lingerSeconds?: number): void {
    const isReported = this.line.goAway(lingerSeconds);
    this.leave();
    if (!isReported) this.#gateway.stopTask(this.trace.taskId).catch(() => undefined);
  }

  /** Leaves a task that is over, or that others go on with. */
  leave(): void {
    this.#leaving.abort();
    this.line.close();
    this.#player?.stop();
    this.#player = null;
  }

  get #isLeft(): boolean {
    return this.#leaving.signal.aborted;
  }

  #lineListener(): LineListener {
    const listener = this.#listener;
    return {
      onEvent: (event) => listener.onEvent?.(event),
      onToolError: (error, call) => listener.onToolError?.(error, call),
      onLine: (link) => {
        this.#greet();
        listener.onLine?.(link);
      },
      onRefusal: (problem) => {
        listener.onRefusal?.(problem);
      },
    };
  }

  /** Has the digital human say hello, once it can be seen and heard; it does so only once. */
  #greet(): void {
    if (this.line.link === "connected" && this.#picture === "connected") this.line.greet();
  }

  #setPicture(link: Link): void {
    this.#picture = link;
    this.#greet();
    this.#listener.onPicture?.(link);
  }

  /** Watches for the task's end. */
  async #watch(): Promise<void> {
    for (let failures = 0; !this.#isLeft; failures++) {
      try {
        for await (const task of this.#gateway.watch(this.trace.taskId, this.#leaving.signal)) {
          failures = 0;
          const ended = endOf(task);
          if (ended) return this.#report(ended);
        }
      } catch (error) {
        if (error instanceof Problem && error.status === 404) return this.#report("CLOUD");
      }
      await this.#pause(failures + 1);
    }
  }

  #report(reason: string): void {
    if (this.#isLeft) return;
    this.leave();
    this.#listener.onEnd?.(reason);
  }

  /** Plays, and starts again when the stream breaks off. */
  async #play(createPlayer: CreatePlayer): Promise<void> {
    const beganAt = performance.now();
    for (let failures = 1; ; failures++) {
      try {
        const player = await this.#open(createPlayer);
        failures = 0;
        this.#wasSeen = true;
        this.#setPicture("connected");
        await player.lost;
      } catch {
        // Handled below, like a stream that broke off.
      }
      this.#player?.stop();
      this.#player = null;
      if (this.#isLeft) return;
      if (this.#wasSeen ? failures >= PLAYER_TRIES : performance.now() - beganAt > UNSEEN_MS) break;
      this.#setPicture("broken");
      await this.#pause(failures);
    }
    if (this.#wasSeen) this.#setPicture("given-up");
    else this.#listener.onUnseen?.();
  }

  async #open(createPlayer: CreatePlayer): Promise<Player> {
    const { viewer } = this.trace;
    const renew = () => this.#gateway.viewerToken(viewer);
    const onWrongClock = () => this.#listener.onWrongClock?.();
    const token = await renew();
    const player = await createPlayer({ viewer, token, renew, onWrongClock });
    this.#player = player;
    if (this.#isLeft) throw new Error("The call is over.");
    await within(STARTING_MS, player.play(token));
    return player;
  }

  #pause(failures: number): Promise<void> {
    return pause(backoffMs(failures), this.#leaving.signal);
  }
}

function endOf({ state, stopReason }: Task): string | null {
  if (state === "FAILED") return "FAILED";
  return state === "STOPPED" ? (stopReason ?? "CLOUD") : null;
}
