// A gateway that speaks the contract over real HTTP and WebSockets, and says what a test has it say.

import type { Config, ConversationEvent, LineMessage, ProblemBody, Task } from "@parley/client";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { Queue } from "./queue";

const CONFIG: Config = {
  success: true,
  version: "0",
  needsKey: false,
  personas: [
    {
      personaId: "concierge",
      displayName: "Concierge",
      description: "Knows the museum.",
      languages: ["en"],
      displayNames: {},
      descriptions: {},
      variables: [],
      greetings: {},
      sampleQuestions: {},
    },
  ],
  digitalHumans: [],
  languages: ["en"],
  maxUploadBytes: 1_000_000,
  maxAudioSeconds: 60,
};

const TASK: Task = {
  taskId: "task_1",
  state: "STREAMING",
  roomId: "room_1",
  streamId: "stream_1",
  personaId: "concierge",
  lang: "en",
  maxDurationSeconds: 600,
  maxIdleSeconds: 120,
};

const UNAVAILABLE: ProblemBody = { status: 503, reason: "JOURNAL_UNAVAILABLE", detail: "The journal does not answer." };

/** A socket of the line, as the gateway sees it. */
export class GatewayLine {
  readonly query: URLSearchParams;
  /** What came up, in order: messages of the contract, and sound. */
  readonly messages = new Queue<Record<string, unknown>>();
  readonly sound = new Queue<Buffer>();
  readonly closed: Promise<unknown>;
  readonly #socket: WebSocket;

  constructor(socket: WebSocket, query: URLSearchParams) {
    this.#socket = socket;
    this.query = query;
    this.closed = once(socket, "close");
    socket.on("message", (data: Buffer, isBinary: boolean) => {
      if (isBinary) this.sound.put(data);
      else this.messages.put(JSON.parse(data.toString()) as Record<string, unknown>);
    });
  }

  send(message: LineMessage): void {
    this.#socket.send(JSON.stringify(message));
  }

  /** Breaks, as a network does. */
  break(): void {
    this.#socket.terminate();
  }
}

export class FakeGateway {
  task: Task = TASK;
  /** Bodies of calls, by their path. */
  readonly created = new Queue<Record<string, unknown>>();
  readonly stopped = new Queue<Record<string, unknown>>();
  readonly lines = new Queue<GatewayLine>();
  /** Whether what it needs is down, so that nobody learns about tasks. */
  isUnavailable = false;
  /** What create-task waits for. */
  onAir: Promise<void> = Promise.resolve();
  /** Whether create-task was given up before it was answered. */
  readonly abandoned = new Queue<true>();
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({ noServer: true });
  #sequence = 0;

  private constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response));
    this.#server.on("upgrade", (request, socket, head) => {
      this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
        const line = new GatewayLine(webSocket, new URL(request.url ?? "", this.address).searchParams);
        line.send({ event: "ready", data: { taskId: this.task.taskId, lastSequence: this.#sequence } });
        this.lines.put(line);
      });
    });
  }

  static async open(): Promise<FakeGateway> {
    const gateway = new FakeGateway();
    gateway.#server.listen(0, "127.0.0.1");
    await once(gateway.#server, "listening");
    return gateway;
  }

  get address(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Returns the next event of the conversation. */
  event<Name extends ConversationEvent["event"]>(
    event: Name,
    data: Omit<Extract<ConversationEvent, { event: Name }>["data"], "time">,
  ): ConversationEvent {
    return { event, sequence: ++this.#sequence, data: { time: new Date().toISOString(), ...data } } as ConversationEvent;
  }

  /** Goes away; safe when it has. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? "", this.address);
    switch (pathname) {
      case "/api/config":
        return send(response, CONFIG);
      case "/api/token": {
        const playback = { protocol: "WHEP", url: `${this.address}/whep/stream_1` };
        const expiresAt = new Date(Date.now() + 600_000).toISOString();
        return send(response, { success: true, token: "04token", appId: 1, expiresAt, playback });
      }
      case "/api/digital-human/create-task":
        response.on("close", () => {
          if (!response.writableFinished) this.abandoned.put(true);
        });
        this.created.put(await bodyOf(request));
        await this.onAir;
        return send(response, { success: true, ...this.task });
      case "/api/digital-human/stop-task":
        this.stopped.put(await bodyOf(request));
        this.task = { ...this.task, state: "STOPPED", stopReason: "REQUESTED" };
        return send(response, { success: true, ...this.task });
      case `/api/digital-human/tasks/${this.task.taskId}`:
        if (this.isUnavailable) return send(response, UNAVAILABLE, 503);
        return send(response, { success: true, ...this.task });
      default:
        response.writeHead(404).end();
    }
  }
}

function send(response: ServerResponse, body: object, status = 200): void {
  const type = status === 200 ? "application/json" : "application/problem+json";
  response.writeHead(status, { "Content-Type": type }).end(JSON.stringify(body));
}

async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
}
