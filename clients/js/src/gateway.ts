// The gateway's HTTP API for those who talk with digital humans, and for their servers.
// docs/http-api.md says what each call does; types are those of the OpenAPI document.

import { Connection, type GatewayOptions, type Opened, type Request } from "./connection.js";
import type {
  Config,
  CreateTask,
  Facts,
  Ledger,
  Say,
  Task,
  TaskEvent,
  TaskList,
  Ticket,
  TicketRequest,
  TokenAnswer,
  ToolResult,
  TurnResult,
  TurnEvent,
  TurnsOfTask,
  Voice,
  WrittenQuestion,
} from "./contract.js";
import { pause } from "./pause.js";
import { canStream } from "./sse.js";
import type { Viewer, ViewerToken } from "./viewer_token.js";

const API = "/api/digital-human";
/** Longer than the gateway waits for a digital human to go on air. */
const CREATING_MS = 90_000;
/** Longer than a recording and the reply to it may last. */
const SPEAKING_MS = 600_000;
/** How often a task is looked at where answers cannot be streamed. */
const LOOK_MS = 3000;

/** A question: in writing, or a recording of at most 60 seconds. */
export type Question = WrittenQuestion | (Omit<WrittenQuestion, "text"> & { readonly audio: Blob });

export interface Abortable {
  readonly signal?: AbortSignal | undefined;
}

/** Which tasks to list, newest first. */
export interface TaskQuery {
  readonly states?: readonly Task["state"][];
  readonly userId?: string;
  /** 1 to 1000; default 50. */
  readonly pageSize?: number;
  readonly pageToken?: string;
}

/**
 * One gateway. Every call may reject with a `Problem`, when the gateway refuses it, or `Unreachable`,
 * when it does not answer.
 */
export class Gateway {
  readonly #connection: Connection;

  constructor(options: GatewayOptions = {}) {
    this.#connection = new Connection(options);
  }

  /** Personas, digital humans, languages and limits. */
  config(): Promise<Config> {
    return this.#get("/api/config");
  }

  /** Puts a digital human on air; resolves once it is. The key makes a repeated call safe. */
  createTask(task: CreateTask, { signal, idempotencyKey }: Abortable & { idempotencyKey?: string } = {}): Promise<Task> {
    return this.#post("create-task", task, { purpose: "new-task", deadlineMs: CREATING_MS, idempotencyKey, signal });
  }

  task(taskId: string): Promise<Task> {
    return this.#get(taskPath(taskId), { purpose: { taskId } });
  }

  tasks({ states = [], ...query }: TaskQuery = {}): Promise<TaskList> {
    const parameters = new URLSearchParams(states.map((state): [string, string] => ["state", state]));
    for (const [name, value] of Object.entries(query)) if (value) parameters.set(name, String(value));
    return this.#get(`${API}/tasks?${parameters.toString()}`);
  }

  /** Changes what is known of a call: its variables, context, greeting, … For servers. */
  updateTask(taskId: string, facts: Facts): Promise<Task> {
    return this.#json(taskPath(taskId), "PATCH", facts, { purpose: { taskId } });
  }

  /** Takes the digital human off air; repeating it is a success. */
  async stopTask(taskId: string): Promise<void> {
    // Kept alive, so that it is sent even while a page unloads.
    await this.#post("stop-task", { taskId }, { purpose: { taskId }, keepalive: true });
  }

  /** Asks, and resolves when the reply has been spoken. */
  ask(question: Question, { signal }: Abortable = {}): Promise<TurnResult> {
    const request = { ...questionOf(question), deadlineMs: SPEAKING_MS, signal };
    return this.#connection.send(`${API}/talk-to-ai`, request, json<TurnResult>);
  }

  /** Asks, and yields what happens as it does, to the turn's end; `problem` comes last where the stream itself fails. */
  talk(question: Question, { signal }: Abortable = {}): AsyncGenerator<TurnEvent> {
    return this.#stream(`${API}/talk-to-ai`, { ...questionOf(question), signal }) as AsyncGenerator<TurnEvent>;
  }

  /** Has a text said, and resolves when it was: without `turnId` where it was dropped. */
  say(text: Say, { signal }: Abortable = {}): Promise<TurnResult> {
    return this.#post("say", text, { purpose: { taskId: text.taskId }, deadlineMs: SPEAKING_MS, signal });
  }

  /** Takes a text back, or cuts it off where it is being said. */
  async withdraw(taskId: string, requestId: string): Promise<void> {
    await this.#connection.send(
      `${taskPath(taskId)}/say/${encodeURIComponent(requestId)}`,
      { method: "DELETE", purpose: { taskId } },
      json,
    );
  }

  /** Has the greeting said, once in a task. */
  async greet(taskId: string): Promise<void> {
    await this.#post("greet", { taskId }, { purpose: { taskId } });
  }

  async interrupt(taskId: string): Promise<void> {
    await this.#post("interrupt", { taskId }, { purpose: { taskId } });
  }

  /** Has a gesture made: one of the digital human's actions in `config`. */
  async act(taskId: string, action: string): Promise<void> {
    await this.#post("action", { taskId, action }, { purpose: { taskId } });
  }

  /** Tells what a function of the app returned. A `Line` does so itself for its `tools`. */
  async returnResult(result: ToolResult): Promise<void> {
    await this.#post("tool-result", result, { purpose: { taskId: result.taskId } });
  }

  /** What a viewer needs to watch; `userId` is a name for the viewer in the room. */
  viewerToken({ userId, roomId, streamId }: Viewer): Promise<ViewerToken> {
    const query = new URLSearchParams({ userId, roomId, streamId });
    return this.#connection.send(`/api/token?${query.toString()}`, {}, async (response) => {
      const { token, appId, playback, expiresAt } = (await response.json()) as TokenAnswer;
      const { protocol, url } = playback;
      if (!url) throw new Error("There is no address to watch at.");
      // The viewer's clock is not trusted.
      const now = Date.parse(response.headers.get("Date") ?? "") || Date.now();
      const lifetimeMs = Date.parse(expiresAt) - now;
      return { token, appId, playback: { protocol, url }, lifetimeMs, clockAheadMs: Date.now() - now };
    });
  }

  /** What was said and heard in a task. */
  conversation(taskId: string): Promise<TurnsOfTask> {
    return this.#get(`${taskPath(taskId)}/conversation`, { purpose: { taskId } });
  }

  /** The same as a text to read. */
  transcript(taskId: string): Promise<string> {
    const path = `${taskPath(taskId)}/conversation?format=text`;
    return this.#connection.send(path, { purpose: { taskId } }, (response) => response.text());
  }

  /** Removes what was said in a task that has ended. For servers. */
  async deleteConversation(taskId: string): Promise<void> {
    await this.#connection.send(`${taskPath(taskId)}/conversation`, { method: "DELETE", purpose: { taskId } }, json);
  }

  /** What became of a reply, segment by segment. */
  ledger(taskId: string, turnId: number): Promise<Ledger> {
    return this.#get(`${taskPath(taskId)}/turns/${turnId}/ledger`, { purpose: { taskId } });
  }

  /**
   * Yields what happens to a task, to its end: its snapshot, then changes and the conversation's
   * events after the position `after`; without it, from now on.
   */
  events(taskId: string, { after, signal }: Abortable & { after?: number } = {}): AsyncGenerator<TaskEvent> {
    const query = after === undefined ? "" : `?after=${after}`;
    const path = `${taskPath(taskId)}/events${query}`;
    return this.#stream(path, { purpose: { taskId }, signal }) as AsyncGenerator<TaskEvent>;
  }

  /** Yields a task as it is, and whenever its state changes, until its final state. */
  async *watch(taskId: string, signal: AbortSignal): AsyncGenerator<Task> {
    if (!canStream()) return yield* this.#look(taskId, signal);
    for await (const { event, data } of this.events(taskId, { signal })) {
      if (event === "snapshot" || event === "state_changed") yield data.task;
    }
  }

  /** Makes a ticket for a browser. For servers: a browser holds no key. */
  createTicket(ticket: TicketRequest): Promise<Ticket> {
    return this.#post("tickets", ticket);
  }

  async voices(): Promise<readonly Voice[]> {
    return (await this.#get<{ voices: Voice[] }>("/api/v1/audio/voices")).voices;
  }

  /** The voice alone: 16-bit mono PCM at 24 kHz. For servers. */
  speak(input: string, voice?: string): Promise<ArrayBuffer> {
    const body = { input, response_format: "pcm", ...(voice && { voice }) };
    const request = { ...jsonBody("POST", body), deadlineMs: SPEAKING_MS };
    return this.#connection.send("/api/v1/audio/speech", request, (response) => response.arrayBuffer());
  }

  /** Opens the socket of a line; see `Line`, which opens as many as it takes. */
  openSocket(query: Record<string, string> & { taskId: string }, refused?: string): Promise<Opened> {
    return this.#connection.openSocket(`${API}/talk`, query, { taskId: query.taskId }, refused);
  }

  async *#look(taskId: string, signal: AbortSignal): AsyncGenerator<Task> {
    for (let last = ""; !signal.aborted; await pause(LOOK_MS, signal)) {
      const task = await this.task(taskId);
      if (task.state !== last) yield task;
      last = task.state;
      if (last === "STOPPED" || last === "FAILED") return;
    }
  }

  #stream(path: string, { headers, ...request }: Request): AsyncGenerator<unknown> {
    const accepting = { ...(headers as Record<string, string>), Accept: "text/event-stream" };
    return this.#connection.stream(path, { ...request, headers: accepting });
  }

  #get<T>(path: string, request: Request = {}): Promise<T> {
    return this.#connection.send(path, request, json) as Promise<T>;
  }

  #post<T>(call: string, body: object, request: Request = {}): Promise<T> {
    return this.#json(`${API}/${call}`, "POST", body, request);
  }

  #json<T>(path: string, method: string, body: object, request: Request): Promise<T> {
    const { headers, ...sent } = jsonBody(method, body);
    const merged = { ...headers, ...(request.headers as Record<string, string> | undefined) };
    return this.#connection.send(path, { ...request, ...sent, headers: merged }, json) as Promise<T>;
  }
}

function taskPath(taskId: string): string {
  return `${API}/tasks/${encodeURIComponent(taskId)}`;
}

function jsonBody(method: string, body: object) {
  return { method, body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
}

function questionOf(question: Question): Request {
  const purpose = { taskId: question.taskId };
  if (!("audio" in question)) return { ...jsonBody("POST", question), purpose };
  const body = new FormData();
  for (const [name, value] of Object.entries(question)) body.append(name, value instanceof Blob ? value : String(value));
  return { method: "POST", body, purpose };
}

async function json<T>(response: Response): Promise<T> {
  return (await response.json()) as T;
}
