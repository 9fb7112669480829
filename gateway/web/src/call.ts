// A call: one task, watched for what happens to it, and played.

import type { GatewayEvent, Task, Ticket } from "./contract";
import * as gateway from "./gateway";
import { Problem } from "./gateway";
import { createPlayer, type Output, type Player, type Screen, type Viewer } from "./players/player";

const PAUSES_MS = [500, 1000, 2000, 4000, 8000];
const PLAYER_TRIES = 6;
/** There is no such task, or nothing more happens to it. */
const OVER = new Set([404, 410]);

/** How the call is connected: its events, and its picture and sound. */
export type Link = "connecting" | "connected" | "broken" | "given-up";

export interface CallListener {
  onEvent(event: GatewayEvent): void;
  onEvents(link: Link): void;
  onPicture(link: Link): void;
  /** The task is over, by whomever; `reason` is its stop reason, or FAILED. */
  onEnd(reason: string): void;
}

export class Call {
  readonly taskId: string;
  readonly lang: string;
  readonly #viewer: Viewer;
  readonly #screen: Screen;
  readonly #listener: CallListener;
  readonly #leaving = new AbortController();
  #player: Player | null = null;

  private constructor(task: Task, viewer: Viewer, screen: Screen, listener: CallListener) {
    this.taskId = task.taskId;
    this.lang = task.lang;
    this.#viewer = viewer;
    this.#screen = screen;
    this.#listener = listener;
  }

  /** Puts the digital human on air and begins to watch and play it. */
  static async start(choice: gateway.Choice, screen: Screen, listener: CallListener): Promise<Call> {
    const id = randomId();
    const names = { roomId: `room_${id}`, streamId: `stream_${id}` };
    const task = await gateway.createTask(choice, names);
    const call = new Call(task, { ...names, userId: `user_${id}` }, screen, listener);
    void call.#watch();
    void call.#play();
    return call;
  }

  /** Asks; returns when the turn is over, however it went. Throws Problem and Unreachable. */
  async ask(question: gateway.Question): Promise<void> {
    for await (const event of gateway.ask(this.taskId, question)) this.#tell(event);
  }

  /** Has the digital human say something, if it is silent. */
  async say(text: string): Promise<void> {
    for await (const event of gateway.say(this.taskId, text)) this.#tell(event);
  }

  interrupt(): Promise<void> {
    return gateway.interrupt(this.taskId);
  }

  /** Leaves, and takes the digital human off air. */
  async stop(): Promise<void> {
    this.leave();
    await gateway.stopTask(this.taskId);
  }

  /** Leaves a task that is over. */
  leave(): void {
    this.#leaving.abort();
    this.#player?.stop();
    this.#player = null;
  }

  get #isLeft(): boolean {
    return this.#leaving.signal.aborted;
  }

  #tell(event: GatewayEvent): void {
    if (!this.#isLeft) this.#listener.onEvent(event);
  }

  /** Follows the task's events until its end, and takes them up again where they broke off. */
  async #watch(): Promise<void> {
    let last: string | null = null;
    for (let attempt = 0; !this.#isLeft; attempt++) {
      try {
        for await (const { event, id } of gateway.watch(this.taskId, last, this.#leaving.signal)) {
          attempt = 0;
          last = id ?? last;
          this.#listener.onEvents("connected");
          this.#tell(event);
          const ended = endOf(event);
          if (ended) {
            this.#listener.onEnd(ended);
            return;
          }
        }
      } catch (error) {
        if (error instanceof Problem && OVER.has(error.status)) {
          this.#listener.onEnd("CLOUD");
          return;
        }
      }
      if (this.#isLeft) return;
      this.#listener.onEvents("broken");
      await this.#pause(attempt);
    }
  }

  /** Plays, and plays again when that breaks off. */
  async #play(): Promise<void> {
    for (let attempt = 0; attempt < PLAYER_TRIES && !this.#isLeft; attempt++) {
      try {
        const player = await this.#open();
        attempt = 0;
        this.#listener.onPicture("connected");
        await player.lost;
      } catch {
        // Told below, whichever way it went.
      }
      this.#player?.stop();
      this.#player = null;
      if (this.#isLeft) return;
      this.#listener.onPicture("broken");
      await this.#pause(attempt);
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

  #pause(attempt: number): Promise<void> {
    const { signal } = this.#leaving;
    return new Promise((resolve) => {
      setTimeout(resolve, PAUSES_MS[Math.min(attempt, PAUSES_MS.length - 1)]);
      signal.addEventListener("abort", () => resolve());
    });
  }
}

/** Not crypto.randomUUID, which pages have only when they are served securely. */
function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The address of the page may ask for the face to be drawn here. */
function chosenOutput(): Output {
  return new URLSearchParams(location.search).get("output") === "blendshape" ? "blendshape" : "video";
}

function endOf(event: GatewayEvent): string | null {
  if (event.name !== "snapshot" && event.name !== "state_changed") return null;
  const { state, stopReason } = event.data.task;
  if (state === "FAILED") return "FAILED";
  return state === "STOPPED" ? (stopReason ?? "CLOUD") : null;
}
