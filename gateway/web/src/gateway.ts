// The gateway's HTTP API, and the address of its line.

import type { Config, ProblemBody, Task, TaskEvent, TokenAnswer } from "./contract";
import type { Viewer } from "./players/player";
import type { Ticket } from "./players/ticket";
import { readEvents } from "./sse";

const API = "/api/digital-human";
const KEY = "parley.key";
/** What tickets begin with that may be used again. */
const TICKET = "parley_ticket_";
/** Accepted beside a ticket, which the gateway does not send back. */
const SUBPROTOCOL = "parley.v1";
/** Longer than the gateway waits for a digital human to go on air. */
const CREATING_MS = 90_000;
/** A page that is closed, or on a machine that sleeps, pays for no longer. */
const MAX_ABSENCE_S = 60;
const ANSWER_MS = 20_000;

/** The gateway refused, or reported a failure. */
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

export async function createTask(choice: Choice, { roomId, streamId }: Viewer): Promise<Task> {
  const given = Object.entries(choice).filter(([, value]) => value);
  const body = { roomId, streamId, maxAbsenceSeconds: MAX_ABSENCE_S, greetWhen: "WATCHED", ...Object.fromEntries(given) };
  return (await post(`${API}/create-task`, body, { signal: AbortSignal.timeout(CREATING_MS) })).json();
}

export async function getTask(taskId: string): Promise<Task> {
  return (await send(`${API}/tasks/${encodeURIComponent(taskId)}`)).json();
}

export async function getTicket({ userId, roomId, streamId }: Viewer): Promise<Ticket> {
  const response = await send(`/api/token?${new URLSearchParams({ userId, roomId, streamId })}`);
  const { token, appId, playback, expiresAt } = (await response.json()) as TokenAnswer;
  const { protocol, url } = playback;
  if (!url) throw new Error("There is no address to watch at.");
  // The viewer's clock is not trusted.
  const now = Date.parse(response.headers.get("Date") ?? "") || Date.now();
  return { token, appId, playback: { protocol, url }, lifetimeMs: Date.parse(expiresAt) - now, clockAheadMs: Date.now() - now };
}

export async function stopTask(taskId: string): Promise<void> {
  // Kept alive, so that it is sent even while the page unloads.
  await post(`${API}/stop-task`, { taskId }, { keepalive: true });
}

/** Yields a task as it is, and whenever its state changes, until its final state. */
export async function* watch(taskId: string, signal: AbortSignal): AsyncGenerator<Task> {
  const response = await send(`${API}/tasks/${encodeURIComponent(taskId)}/events`, { signal });
  for await (const message of readEvents(response)) {
    const { event, data } = message as TaskEvent;
    if (event === "snapshot" || event === "state_changed") yield data.task;
  }
}

/** Uses the ticket in `#ticket=…` and removes it from the address, which is kept in histories and shared. */
export function takeTicket(): void {
  const ticket = new URLSearchParams(location.hash.slice(1)).get("ticket");
  if (!ticket) return;
  useKey(ticket);
  history.replaceState(history.state, "", location.pathname + location.search);
}

/** Opens a line. A page cannot set headers of a WebSocket: a ticket is a subprotocol, a key stands in the query. */
export function openSocket(query: Record<string, string>): WebSocket {
  const key = sessionStorage.getItem(KEY) ?? "";
  const isTicket = key.startsWith(TICKET);
  const given = { ...query, ...(key && !isTicket && { apiKey: key }) };
  const url = new URL(`${API}/talk?${new URLSearchParams(given)}`, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  return new WebSocket(url, isTicket ? [SUBPROTOCOL, `parley.ticket.${key}`] : []);
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
  const signal = request.signal ?? AbortSignal.timeout(ANSWER_MS);
  const response = await fetch(path, { ...request, headers, signal }).catch((error: unknown) => {
    throw isOutage(error) ? new Unreachable(error.message) : error;
  });
  if (!response.ok) throw new Problem(await problemOf(response));
  return response;
}

function isOutage(error: unknown): error is Error {
  return error instanceof TypeError || (error instanceof DOMException && error.name === "TimeoutError");
}

async function problemOf(response: Response): Promise<ProblemBody> {
  const isProblem = response.headers.get("Content-Type")?.startsWith("application/problem+json");
  if (isProblem) return response.json();
  return { status: response.status, reason: "INTERNAL", detail: response.statusText };
}
