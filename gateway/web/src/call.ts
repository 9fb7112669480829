// A call: one task, with a line to talk over, a player, and a watch for its end.

import { backoffMs } from "./backoff";
import type { Task } from "./contract";
import * as gateway from "./gateway";
import { Problem } from "./gateway";
import { newId } from "./ids";
import { Line, type LineListener, type TurnDetection } from "./line";
import type { Link } from "./link";
import { pause, within } from "./pause";
import { createPlayer, type Output, type Player, type Screen } from "./players/player";
import type { Trace } from "./trace";

/** The time to enter the room, or to connect, and to get the first picture. */
const STARTING_MS = 20_000;
const PLAYER_TRIES = 6;
/** An avatar that is not seen by then would cost money for nothing. */
const UNSEEN_MS = 30_000;

export interface CallListener extends LineListener {
  onPicture(link: Link): void;
  /** Nothing was ever seen or heard of the digital human, and will not be. */
  onUnseen(): void;
  /** The task is over; `reason` is its stop reason, or FAILED. */
  onEnd(reason: string): void;
  onWrongClock(): void;
}

/** What a call needs of the page. */
export interface Holding {
  readonly screen: Screen;
  readonly detection: TurnDetection;
  readonly listener: CallListener;
}

export class Call {
  readonly trace: Trace;
  readonly line: Line;
  readonly #screen: Screen;
  readonly #listener: CallListener;
  readonly #leaving = new AbortController();
  #player: Player | null = null;
  #wasSeen = false;

  private constructor(trace: Trace, { screen, detection, listener }: Holding) {
    this.trace = trace;
    this.line = new Line(trace.taskId, detection, listener);
    this.#screen = screen;
    this.#listener = listener;
    void this.#watch();
    void this.#play();
  }

  /** Puts the digital human on air, then opens the line, watches the task and plays the stream. */
  static async start(choice: gateway.Choice, holding: Holding): Promise<Call> {
    const id = newId();
    const viewer = { roomId: `room_${id}`, streamId: `stream_${id}`, userId: `user_${id}` };
    const { taskId, lang = choice.lang } = await gateway.createTask(choice, viewer);
    const { personaId } = choice;
    return new Call({ taskId, lang, personaId, viewer, startedAt: Date.now() }, holding);
  }

  /** Resumes a call; returns the reason if it is over. */
  static async resume(trace: Trace, holding: Holding): Promise<Call | string> {
    const ended = endOf(await gateway.getTask(trace.taskId));
    return ended ?? new Call(trace, holding);
  }

  /** Leaves the call, and takes the digital human off air. */
  async stop(): Promise<void> {
    this.leave();
    await gateway.stopTask(this.trace.taskId);
  }

  /** Plays again after the player had given up. */
  watchAgain(): void {
    this.#listener.onPicture("connecting");
    void this.#play();
  }

  /** Leaves, perhaps for a moment: a digital human without a user would cost money for nothing. */
  goAway(): void {
    const isReported = this.line.goAway();
    this.leave();
    if (!isReported) gateway.stopTask(this.trace.taskId).catch(() => undefined);
  }

  /** Leaves a task that is over. */
  leave(): void {
    this.#leaving.abort();
    this.line.close();
    this.#player?.stop();
    this.#player = null;
  }

  get #isLeft(): boolean {
    return this.#leaving.signal.aborted;
  }

  /** Watches for the task's end, which the line does not report. */
  async #watch(): Promise<void> {
    for (let failures = 0; !this.#isLeft; failures++) {
      try {
        for await (const task of gateway.watch(this.trace.taskId, this.#leaving.signal)) {
          failures = 0;
          const ended = endOf(task);
          if (ended) {
            this.#listener.onEnd(ended);
            return;
          }
        }
      } catch (error) {
        if (error instanceof Problem && error.status === 404) {
          this.#listener.onEnd("CLOUD");
          return;
        }
      }
      await this.#pause(failures + 1);
    }
  }

  /** Plays, and starts again when the stream breaks off. */
  async #play(): Promise<void> {
    const beganAt = performance.now();
    for (let failures = 1; ; failures++) {
      try {
        const player = await this.#open();
        failures = 0;
        this.#wasSeen = true;
        this.#listener.onPicture("connected");
        await player.lost;
      } catch {
        // Handled below, like a stream that broke off.
      }
      this.#player?.stop();
      this.#player = null;
      if (this.#isLeft) return;
      if (this.#wasSeen ? failures >= PLAYER_TRIES : performance.now() - beganAt > UNSEEN_MS) break;
      this.#listener.onPicture("broken");
      await this.#pause(failures);
    }
    if (this.#wasSeen) this.#listener.onPicture("given-up");
    else this.#listener.onUnseen();
  }

  async #open(): Promise<Player> {
    const { viewer } = this.trace;
    const access = {
      renew: () => gateway.getTicket(viewer),
      onWrongClock: () => this.#listener.onWrongClock(),
    };
    const ticket = await access.renew();
    const player = await createPlayer(ticket, this.#screen, viewer, { output: chosenOutput(), access });
    if (this.#isLeft) throw new Error("The call is over.");
    this.#player = player;
    await within(STARTING_MS, player.play(ticket));
    return player;
  }

  #pause(failures: number): Promise<void> {
    return pause(backoffMs(failures), this.#leaving.signal);
  }
}

/** The page's address may ask for the face to be drawn here. */
function chosenOutput(): Output {
  return new URLSearchParams(location.search).get("output") === "blendshape" ? "blendshape" : "video";
}

function endOf({ state, stopReason }: Task): string | null {
  if (state === "FAILED") return "FAILED";
  return state === "STOPPED" ? (stopReason ?? "CLOUD") : null;
}
