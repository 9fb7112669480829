// An HTTP server in the gateway's place, which answers as a test tells it to, with real sockets.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket as NetSocket } from "node:net";
import { Gateway, type GatewayOptions, type Recovery, type SocketConstructor } from "@parley/client";
import { WebSocket, WebSocketServer } from "ws";
import { Queue } from "./queue.js";
import { ServedLine } from "./served_line.js";

/** One request, read whole. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

export type Answer = (asked: Asked, response: ServerResponse) => void;

export class ServedGateway {
  readonly lines = new Queue<ServedLine>();
  readonly asked = new Queue<Asked>();
  readonly #answers = new Map<string, Answer>();
  readonly #connections = new Set<NetSocket>();
  readonly #server: Server;
  readonly #sockets: WebSocketServer;

  private constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response));
    this.#server.on("connection", (socket) => this.#connections.add(socket));
    this.#sockets = new WebSocketServer({ server: this.#server, handleProtocols: (offered) => [...offered][0] ?? false });
    this.#sockets.on("connection", (socket, request) => this.lines.push(new ServedLine(socket, request)));
  }

  static async start(): Promise<ServedGateway> {
    const served = new ServedGateway();
    await new Promise<void>((resolve) => served.#server.listen(0, "127.0.0.1", resolve));
    return served;
  }

  get baseUrl(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The client of this gateway. */
  client(options: GatewayOptions = {}): Gateway {
    return new Gateway({ baseUrl: this.baseUrl, WebSocket: WebSocket as SocketConstructor, ...options });
  }

  /** Says how a call is answered, such as `POST /api/digital-human/say`. */
  on(call: string, answer: Answer): void {
    this.#answers.set(call, answer);
  }

  async stop(): Promise<void> {
    for (const client of this.#sockets.clients) client.terminate();
    for (const connection of this.#connections) connection.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { pathname, searchParams } = new URL(request.url ?? "/", this.baseUrl);
    const { method = "GET", headers } = request;
    const asked = { method, path: pathname, query: searchParams, headers, body: Buffer.concat(chunks).toString() };
    this.asked.push(asked);
    const answer = this.#answers.get(`${method} ${pathname}`);
    if (answer) answer(asked, response);
    else refuse(response, 404, "ROUTE_NOT_FOUND");
  }
}

export function json(response: ServerResponse, body: object, status = 200): void {
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify({ success: true, ...body }));
}

interface Refusal {
  readonly headers?: Record<string, string>;
  /** Without one the answer is that of a gateway that does not say any. */
  readonly recovery?: Recovery | undefined;
}

export function refuse(response: ServerResponse, status: number, reason: string, { headers, recovery }: Refusal = {}): void {
  response
    .writeHead(status, { "Content-Type": "application/problem+json", ...headers })
    .end(JSON.stringify(problem(status, reason, recovery)));
}

export function problem(status: number, reason: string, recovery?: Recovery) {
  return {
    status,
    reason,
    recovery,
    detail: `roomId: ${reason}`,
    requestId: "request_1",
    metadata: { limit: "1" },
    violations: [{ field: "roomId", rule: "string.max_bytes", description: "must be at most 128 bytes" }],
  };
}

/** Begins an event stream; the answer ends with the test, or by `response.end()`. */
export function stream(response: ServerResponse, ...events: [event: string, data: object][]): void {
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  for (const [event, data] of events) response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}
