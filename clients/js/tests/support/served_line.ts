// The gateway's end of a line's socket.

import type { IncomingMessage } from "node:http";
import type { WebSocket } from "ws";
import { Queue } from "./queue.js";
import { problem } from "./served_gateway.js";

export type Message = Record<string, unknown>;

export class ServedLine {
  readonly query: URLSearchParams;
  readonly protocols: readonly string[];
  /** Text messages of the client. */
  readonly messages = new Queue<Message>();
  /** Sound of the client, in bytes per message. */
  readonly sounds = new Queue<Buffer>();
  /** Resolves with its code once it is closed. */
  readonly closed: Promise<number>;
  readonly #socket: WebSocket;

  constructor(socket: WebSocket, request: IncomingMessage) {
    this.#socket = socket;
    this.query = new URL(request.url ?? "/", "http://gateway").searchParams;
    this.protocols = (request.headers["sec-websocket-protocol"] ?? "").split(/,\s*/).filter(Boolean);
    this.closed = new Promise((resolve) => socket.on("close", resolve));
    socket.on("message", (data: Buffer, isBinary) => {
      if (isBinary) this.sounds.push(data);
      else this.messages.push(JSON.parse(data.toString()) as Message);
    });
  }

  ready(lastSequence = 0): void {
    this.send({ event: "ready", data: { taskId: "task_1", lastSequence } });
  }

  /** Sends an event of the conversation. */
  event(sequence: number, event: string, data: object = {}): void {
    this.send({ event, sequence, data: { turnId: 1, time: new Date().toISOString(), ...data } });
  }

  send(message: object): void {
    this.#socket.send(JSON.stringify(message));
  }

  /** Refuses the line as the gateway does. */
  refuse(status: number, reason: string): void {
    this.send({ problem: problem(status, reason) });
    this.#socket.close(4000 + status);
  }

  /** Breaks the connection without a word. */
  cut(): void {
    this.#socket.terminate();
  }
}
