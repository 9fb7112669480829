// The gateway's HTTP API.

import type { Config, GatewayEvent, ProblemBody, Task, Ticket } from "./contract";
import { readEvents } from "./sse";

const API = "/api/digital-human";
const KEY = "parley.key";

/** The gateway refused, or told of a failure. */
export class Problem extends Error {
  readonly status: number;
  readonly reason: string;

  constructor({ status, reason, detail }: ProblemBody) {
    super(detail);
    this.status = status;
    this.reason = reason;
  }
}

/** The gateway does not answer. */
export class Unreachable extends Error {}

export interface Choice {
  personaId: string;
  digitalHumanId: string;
  lang: string;
}

/** What is said to the digital human. */
export type Question = { text: string } | { recording: Blob };

/** An event and the id from which to resume. */
export interface Told {
  event: GatewayEvent;
  id: string | null;
}

export function useKey(key: string): void {
  sessionStorage.setItem(KEY, key);
}

export async function getConfig(): Promise<Config> {
  return (await send("/api/config")).json();
}

export async function createTask(choice: Choice, names: { roomId: string; streamId: string }): Promise<Task> {
  const given = Object.entries(choice).filter(([, value]) => value);
  return (await post(`${API}/create-task`, { ...names, ...Object.fromEntries(given) })).json();
}

export async function getTicket(viewer: { userId: string; roomId: string; streamId: string }): Promise<Ticket> {
  return (await send(`/api/token?${new URLSearchParams(viewer)}`)).json();
}

export async function stopTask(taskId: string): Promise<void> {
  // Kept alive, so that it also arrives while the page goes away.
  await post(`${API}/stop-task`, { taskId }, { keepalive: true });
}

export async function interrupt(taskId: string): Promise<void> {
  await post(`${API}/interrupt`, { taskId });
}

/** Asks, and tells what happens meanwhile, also to other turns. */
export async function* ask(taskId: string, question: Question): AsyncGenerator<GatewayEvent> {
  const headers = { Accept: "text/event-stream" };
  if ("text" in question) {
    yield* turnOf(await post(`${API}/talk-to-ai`, { taskId, text: question.text }, { headers }));
    return;
  }
  const body = new FormData();
  body.append("taskId", taskId);
  body.append("audio", question.recording, "question");
  yield* turnOf(await send(`${API}/talk-to-ai`, { method: "POST", body, headers }));
}

/** Has the digital human say something, unless it is saying something else. */
export async function* say(taskId: string, text: string): AsyncGenerator<GatewayEvent> {
  const headers = { Accept: "text/event-stream" };
  yield* turnOf(await post(`${API}/say`, { taskId, text, priority: "LOW" }, { headers }));
}

/** Tells a task's events after an id, from now on without one, until its final state.
 *
 * Throws a Problem with status 410 when nothing more is to be told. */
export async function* watch(taskId: string, after: string | null, signal: AbortSignal): AsyncGenerator<Told> {
  const headers: Record<string, string> = after === null ? {} : { "Last-Event-ID": after };
  const response = await send(`${API}/tasks/${encodeURIComponent(taskId)}/events`, { headers, signal });
  if (response.status === 204) {
    throw new Problem({ status: 410, reason: "TASK_ENDED", detail: "The task is over." });
  }
  for await (const { name, data, id } of readEvents(response)) {
    yield { event: { name, data } as GatewayEvent, id };
  }
}

export async function getTranscript(taskId: string): Promise<Blob> {
  return (await send(`${API}/tasks/${encodeURIComponent(taskId)}/conversation?format=text`)).blob();
}

async function* turnOf(response: Response): AsyncGenerator<GatewayEvent> {
  for await (const { name, data } of readEvents(response)) {
    const event = { name, data } as GatewayEvent;
    if (event.name === "problem") throw new Problem(event.data);
    yield event;
  }
}

function post(path: string, body: object, more: RequestInit = {}): Promise<Response> {
  const headers = { "Content-Type": "application/json", ...more.headers };
  return send(path, { ...more, method: "POST", body: JSON.stringify(body), headers });
}

async function send(path: string, request: RequestInit = {}): Promise<Response> {
  const headers = new Headers(request.headers);
  const key = sessionStorage.getItem(KEY);
  if (key) headers.set("Authorization", `Bearer ${key}`);
  const response = await fetch(path, { ...request, headers }).catch((error: unknown) => {
    throw error instanceof TypeError ? new Unreachable(error.message) : error;
  });
  if (!response.ok) throw new Problem(await problemOf(response));
  return response;
}

async function problemOf(response: Response): Promise<ProblemBody> {
  const isProblem = response.headers.get("Content-Type")?.startsWith("application/problem+json");
  if (isProblem) return response.json();
  return { status: response.status, reason: "INTERNAL", detail: response.statusText };
}
