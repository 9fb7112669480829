// The gateway's HTTP API, and where its line is.

import type { Config, ProblemBody, Task, Ticket } from "./contract";
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

/** Tells a task as it is, and whenever its state changes, until its final state. */
export async function* watch(taskId: string, signal: AbortSignal): AsyncGenerator<Task> {
  const response = await send(`${API}/tasks/${encodeURIComponent(taskId)}/events`, { signal });
  for await (const { name, data } of readEvents(response)) {
    if (name === "snapshot" || name === "state_changed") yield (data as { task: Task }).task;
  }
}

/** Returns the address of a line. Browsers let a page send no headers with it. */
export function socketUrl(query: Record<string, string>): URL {
  const key = sessionStorage.getItem(KEY);
  const url = new URL(`${API}/talk?${new URLSearchParams({ ...query, ...(key && { apiKey: key }) })}`, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  return url;
}

export async function getTranscript(taskId: string): Promise<Blob> {
  return (await send(`${API}/tasks/${encodeURIComponent(taskId)}/conversation?format=text`)).blob();
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
