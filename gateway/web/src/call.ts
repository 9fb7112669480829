// A call: one task, talked with over a line, watched for its end, and played.

import { backoffMs } from "./backoff";
import type { Task, Ticket } from "./contract";
import * as gateway from "./gateway";
import { Problem } from "./gateway";
import { newId } from "./ids";
import { Line, type LineListener, type TurnDetection } from "./line";
import type { Link } from "./link";
import { createPlayer, type Output, type Player, type Screen, type Viewer } from "./players/player";

const PLAYER_TRIES = 6;

export interface CallListener extends LineListener {
  onPicture(link: Link): void;
  /** The task is over, by whomever; `reason` is its stop reason, or FAILED. */
  onEnd(reason: string): void;
}

export class Call {
  readonly taskId: string;
  readonly lang: string;
  readonly line: Line;
  readonly #viewer: Viewer;
  readonly #screen: Screen;
  readonly #listener: CallListener;
  readonly #leaving = new AbortController();
  #player: Player | null = null;

  private constructor(task: Task, viewer: Viewer, screen: Screen, line: Line, listener: CallListener) {
    this.taskId = task.taskId;
    this.lang = task.lang;
    this.line = line;
    this.#viewer = viewer;
    this.#screen = screen;
    this.#listener = listener;
  }

  /** Puts the digital human on air and begins to talk with it, to watch and to play it. */
  static async start(
    choice: gateway.Choice,
    screen: Screen,
    { detection, listener }: { detection: TurnDetection; listener: CallListener },
  ): Promise<Call> {
    const id = newId();
    const names = { roomId: `room_${id}`, streamId: `stream_${id}` };
    const task = await gateway.createTask(choice, names);
    const line = new Line(task.taskId, detection, listener);
    const call = new Call(task, { ...names, userId: `user_${id}` }, screen, line, listener);
    void call.#watch();
    void call.#play();
    return call;
  }

  /** Leaves, and takes the digital human off air. */
  async stop(): Promise<void> {
    this.leave();
    await gateway.stopTask(this.taskId);
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

  /** Watches for the task's end, of which the line does not tell. */
  async #watch(): Promise<void> {
    for (let failures = 0; !this.#isLeft; failures++) {
      try {
        for await (const task of gateway.watch(this.taskId, this.#leaving.signal)) {
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

  /** Plays, and plays again when that breaks off. */
  async #play(): Promise<void> {
    for (let failures = 1; failures <= PLAYER_TRIES && !this.#isLeft; failures++) {
      try {
        const player = await this.#open();
        failures = 1;
        this.#listener.onPicture("connected");
        await player.lost;
      } catch {
        // Told below, whichever way it went.
      }
      this.#player?.stop();
      this.#player = null;
      if (this.#isLeft) return;
      this.#listener.onPicture("broken");
      await this.#pause(failures);
    }
    if (!this.#isLeft) this.#listener.onPicture("given-up");
  }

  async #open(): Promise<Player> {
    const renew = (): Promise<Ticket> => gateway.getTicket(this.#viewer);
    const ticket = await renew();
    const player = await createPlayer(ticket, this.#screen, this.#viewer, { output: chosenOutput(), renew });
    if (this.#isLeft) throw new Error("The call is over.");
    this.#player = player;
    await player.play(ticket);
    return player;
  }

  #pause(failures: number): Promise<void> {
    const { signal } = this.#leaving;
    return new Promise((resolve) => {
      setTimeout(resolve, backoffMs(failures));
      signal.addEventListener("abort", () => resolve());
    });
  }
}

/** The address of the page may ask for the face to be drawn here. */
function chosenOutput(): Output {
  return new URLSearchParams(location.search).get("output") === "blendshape" ? "blendshape" : "video";
}

function endOf({ state, stopReason }: Task): string | null {
  if (state === "FAILED") return "FAILED";
  return state === "STOPPED" ? (stopReason ?? "CLOUD") : null;
}
