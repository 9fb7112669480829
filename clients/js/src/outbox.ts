// What was sent over a line and has not been taken yet: the next socket sends it again.

import type { ConversationEvent } from "./contract.js";
import type { Socket } from "./socket.js";

export type Frame = Int16Array<ArrayBuffer>;

export interface Sent {
  /** `result` is what a function of the app returned; all others are forgotten at an interruption. */
  readonly kind: "spoken" | "written" | "said" | "result";
  readonly frames: readonly Frame[];
  readonly message: object;
  isTakenBy(event: ConversationEvent): boolean;
  /** The socket that it was sent by; null before the first. */
  socket: Socket | null;
}

export class Outbox {
  #sent: Sent[] = [];

  /** Whether a question is waiting to be taken. */
  get hasQuestion(): boolean {
    return this.#sent.some(({ kind }) => kind === "spoken" || kind === "written");
  }

  add(sent: Sent): void {
    this.#sent.push(sent);
  }

  /** Forgets what an event shows to be taken: of utterances, which events do not name, the first. */
  take(event: ConversationEvent): void {
    const taken = this.#sent.findIndex((sent) => sent.isTakenBy(event));
    if (taken >= 0) this.#sent.splice(taken, 1);
  }

  /** Forgets what is of no use any more. */
  forget(isOver: (sent: Sent) => boolean): void {
    this.#sent = this.#sent.filter((sent) => !isOver(sent));
  }

  /** Returns what this socket has not sent, and takes it for sent. */
  moveTo(socket: Socket | null): Sent[] {
    const left = this.#sent.filter((sent) => sent.socket !== socket);
    for (const sent of left) sent.socket = socket;
    return left;
  }
}
