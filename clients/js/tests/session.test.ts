import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import type { AppTool, CallRequest } from "@parley/client";
import { messageOf, Session, type SessionMicrophone, type SessionMicrophoneListener, type SessionState, type TalkMode } from "@parley/client/ui";
import { Queue } from "./support/queue.js";
import { ScriptedPlayer } from "./support/scripted_player.js";
import { type Asked, json, refuse, ServedGateway, stream } from "./support/served_gateway.js";
import type { Message, ServedLine } from "./support/served_line.js";

const API = "/api/digital-human";
const TASK = { taskId: "task_1", state: "STREAMING", roomId: "room_1", streamId: "stream_1", personaId: "guide", lang: "en" };
const CONFIG = {
  personas: [{ personaId: "guide", displayName: "Guide", languages: ["en"], digitalHumanId: "mia", sampleQuestions: {} }],
  digitalHumans: [
    { digitalHumanId: "leo", avatarUrl: "http://engine/leo.jpg" },
    { digitalHumanId: "mia", avatarUrl: "http://engine/mia.jpg" },
  ],
  defaultPersonaId: "guide",
  languages: ["en"],
  maxAudioSeconds: 60,
};
const FRAME = new Int16Array(320).fill(7);

/** A microphone that is opened or refused as a test says. */
class ScriptedMicrophone implements SessionMicrophone {
  isEnabled = false;
  isOpen = false;
  refusal: DOMException | null = null;
  listener: SessionMicrophoneListener | null = null;

  async open(): Promise<void> {
    if (this.refusal) throw this.refusal;
    this.isOpen = true;
  }

  async close(): Promise<void> {
    this.isEnabled = this.isOpen = false;
  }
}

let served: ServedGateway;
let microphone: ScriptedMicrophone;
let player: ScriptedPlayer;
let ended: string[];
let sessions: Session[];

beforeEach(async () => {
  served = await ServedGateway.start();
  [microphone, player, ended, sessions] = [new ScriptedMicrophone(), new ScriptedPlayer(), [], []];
  served.on("GET /api/config", (_, response) => json(response, CONFIG));
  served.on(`POST ${API}/create-task`, (_, response) => json(response, TASK));
  served.on(`POST ${API}/stop-task`, (_, response) => json(response, TASK));
  served.on(`GET ${API}/tasks/task_1/events`, (_, response) => stream(response, ["snapshot", { task: TASK, lastSequence: 0 }]));
  served.on("GET /api/token", (_, response) => {
    const expiresAt = new Date(Date.now() + 60_000).toISOString();
    json(response, { token: "04x", expiresAt, appId: 1, playback: { protocol: "WHEP", url: "http://engine/whep" } });
  });
});

afterEach(async () => {
  for (const session of sessions) await session.stop();
  await served.stop();
});

function newSession(talkMode: TalkMode = "open", request: CallRequest = {}, clientTools: AppTool[] = []): Session {
  const session = new Session({
    setup: () => ({ gateway: served.client(), request, createPlayer: async () => player, clientTools }),
    talkMode,
    microphone: (listener) => Object.assign(microphone, { listener }),
    listener: { onEnded: ({ reason }) => ended.push(reason) },
  });
  sessions.push(session);
  return session;
}

/** Resolves once the state is as it should be. */
function until(session: Session, isSo: (state: SessionState) => boolean): Promise<void> {
  return new Promise((resolve) => {
    const check = (): void => {
      if (isSo(session.state)) resolve();
    };
    session.subscribe(check);
    check();
  });
}

async function calling(session: Session): Promise<ServedLine> {
  await session.start();
  const line = await served.lines.next();
  line.ready();
  player.show();
  await until(session, ({ links }) => links.line === "connected" && links.picture === "connected");
  return line;
}

/** The first message of a type; those before it are dropped. */
async function sent(line: ServedLine, type: string): Promise<Message> {
  for (;;) {
    const message = await line.messages.next();
    if (message["type"] === type) return message;
  }
}

/** The first request for a path; those before it are dropped. */
async function untilAsked(path: string): Promise<Asked> {
  for (;;) {
    const asked = await served.asked.next();
    if (asked.path === path) return asked;
  }
}

test("starting twice is one call, which greets once it is seen", async () => {
  const session = newSession();
  void session.start();
  const line = await calling(session);
  assert.deepEqual(await line.messages.next(), { type: "greet" });
  const { phase, status, taskId, persona, portraitUrl } = session.state;
  assert.deepEqual(
    [phase, status, taskId, persona?.displayName, portraitUrl],
    ["live", "listening", "task_1", "Guide", "http://engine/mia.jpg"],
  );
  assert.equal(served.asked.left.filter(({ path }) => path === `${API}/create-task`).length, 1);
});

test("a call declares functions of the app, and their handlers are called", async () => {
  const shown: unknown[] = [];
  const declaration = { name: "show", description: "Shows a product.", parameters: { type: "object" } };
  const session = newSession("open", { clientTools: [{ name: "hide", description: "Hides it." }] }, [
    { ...declaration, handler: ({ id }) => void shown.push(id) },
  ]);
  const line = await calling(session);
  const { body } = await untilAsked(`${API}/create-task`);
  assert.deepEqual(JSON.parse(body).clientTools, [{ name: "hide", description: "Hides it." }, declaration]);
  line.event(1, "tool_called", { callId: "a", name: "show", arguments: '{"id": 7}' });
  assert.deepEqual(await sent(line, "tool_result"), { type: "tool_result", callId: "a", result: "done" });
  assert.deepEqual(shown, [7]);
});

test("no functions of the app are none", async () => {
  // As a page that is no TypeScript sets it.
  const session = newSession("open", {}, null as unknown as AppTool[]);
  await calling(session);
  assert.equal(session.state.phase, "live");
});

test("a call that is given up while it starts leaves no task behind", async () => {
  const created = new Queue<() => void>();
  served.on(`POST ${API}/create-task`, (_, response) => created.push(() => json(response, TASK)));
  const session = newSession();
  const starting = session.start();
  const answer = await created.next();
  await session.stop();
  assert.equal(session.state.phase, "idle");
  answer();
  await starting;
  await untilAsked(`${API}/stop-task`);
  assert.equal(session.state.phase, "idle");
});

test("a call that is being set up is not waited for by a user who goes away", async () => {
  const abandoned = new Queue<true>();
  const asked = new Queue<true>();
  served.on(`POST ${API}/create-task`, (_, response) => {
    response.on("close", () => abandoned.push(true));
    asked.push(true);
  });
  const session = newSession();
  void session.start();
  await asked.next();
  session.goAway(60);
  await abandoned.next();
  assert.deepEqual([session.state.phase, session.trace], ["idle", null]);
});

test("a turn is in the state, and a copy of its own for each change", async () => {
  const session = newSession();
  const line = await calling(session);
  line.event(1, "turn_started", { origin: "TEXT", transcript: "Hello?" });
  await until(session, ({ turns }) => turns.length === 1);
  const [first] = session.state.turns;
  assert.deepEqual([session.state.status, session.state.canInterrupt], ["thinking", true]);
  line.event(2, "turn_finished", { reply: "Hi.", heard: "Hi.", interrupted: false, timings: {}, toolCalls: [] });
  await until(session, ({ turns }) => turns[0]?.end?.heard === "Hi.");
  assert.equal(first?.end, null);
  assert.equal(session.state.canInterrupt, false);
});

test("the open microphone is sent until it is muted", async () => {
  const session = newSession();
  const line = await calling(session);
  assert.equal(microphone.isEnabled, true);
  microphone.listener?.onAudio(FRAME);
  assert.equal((await line.sounds.next()).length, 640);
  session.mute();
  assert.deepEqual([microphone.isEnabled, session.state.status], [false, "muted"]);
  await session.unmute();
  assert.deepEqual([microphone.isEnabled, session.state.status], [true, "listening"]);
});

test("without a call the microphone stays closed", async () => {
  const session = newSession();
  await session.unmute();
  assert.deepEqual([microphone.isOpen, session.state.microphone], [false, "off"]);
});

test("a call that has ended is neither heard nor seen", async () => {
  const session = newSession();
  await calling(session);
  await session.stop();
  assert.deepEqual(session.state.links, { line: "connecting", picture: "connecting" });
});

test("only what is said while holding is sent", async () => {
  const session = newSession("hold");
  const line = await calling(session);
  assert.equal(line.query.get("turnDetection"), "MANUAL");
  microphone.listener?.onAudio(FRAME);
  await session.press();
  assert.deepEqual([microphone.isEnabled, session.state.status], [true, "listening"]);
  microphone.listener?.onAudio(FRAME);
  session.release();
  assert.deepEqual([microphone.isEnabled, session.state.isHolding], [false, false]);
  assert.deepEqual(await line.messages.next(), { type: "greet" });
  assert.deepEqual(await line.messages.next(), { type: "commit" });
  assert.equal((await line.sounds.next()).length, 640);
  assert.equal(line.sounds.left.length, 0);
});

test("without a microphone one can write; the problem stays while the picture is lost", async () => {
  microphone.refusal = new DOMException("No.", "NotAllowedError");
  const session = newSession();
  const line = await calling(session);
  assert.deepEqual([session.state.problem?.code, session.state.microphone], ["microphone-denied", "off"]);
  player.breakOff();
  await until(session, ({ links }) => links.picture === "broken");
  assert.equal(session.state.problem?.code, "microphone-denied");
  session.ask("Hello?");
  assert.equal(session.state.problem, null);
  let message = await line.messages.next();
  while (message["type"] === "greet") message = await line.messages.next();
  assert.equal(message["text"], "Hello?");
});

for (const [status, reason, recovery, code] of [
  [401, "UNAUTHENTICATED", "NONE", "credentials"],
  [429, "QUOTA_EXCEEDED", "LIMIT", "busy"],
  [503, "CLOUD_BUSY", "LIMIT", "busy"],
  [503, "CLOUD_NO_CAPACITY", "LIMIT", "busy"],
  [429, "BUDGET_EXCEEDED", "LIMIT", "used-up"],
  [429, "PROVIDER_QUOTA_EXCEEDED", "LIMIT", "used-up"],
  [503, "CLOUD_UNREACHABLE", "OUTAGE", "unavailable"],
  [500, "INTERNAL", "NONE", "internal"],
  // Of a gateway that says no recovery.
  [429, "RATE_LIMITED", undefined, "busy"],
  [503, "DRAINING", undefined, "unavailable"],
] as const) {
  test(`a call refused with ${reason} may be tried again`, async () => {
    served.on(`POST ${API}/create-task`, (_, response) => refuse(response, status, reason, { recovery }));
    const session = newSession();
    await session.start();
    const { phase, problem } = session.state;
    assert.deepEqual([phase, problem?.code, problem?.reason, problem?.canRetry], ["idle", code, reason, true]);
    served.on(`POST ${API}/create-task`, (_, response) => json(response, TASK));
    await session.retry();
    assert.deepEqual([session.state.phase, session.state.problem], ["live", null]);
  });
}

test("what would be refused again is not offered again", async () => {
  served.on(`POST ${API}/create-task`, (_, response) => refuse(response, 400, "INVALID_REQUEST"));
  const session = newSession();
  await session.start();
  assert.deepEqual([session.state.problem?.reason, session.state.problem?.canRetry], ["INVALID_REQUEST", false]);
});

test("a line that is refused is opened again on request", async () => {
  const session = newSession();
  const line = await calling(session);
  line.refuse(409, "DRIVE_SUPERSEDED");
  await until(session, ({ status }) => status === "cut");
  assert.deepEqual([session.state.phase, session.state.problem?.canRetry], ["live", true]);
  await session.retry();
  (await served.lines.next()).ready();
  await until(session, ({ status }) => status === "listening");
});

test("a call that was left goes on where it was", async () => {
  served.on(`GET ${API}/tasks/task_1`, (_, response) => json(response, TASK));
  const session = newSession();
  const line = await calling(session);
  line.event(1, "turn_started", { origin: "TEXT", transcript: "Hello?" });
  await until(session, ({ turns }) => turns.length === 1);
  session.goAway(60);
  assert.deepEqual(await sent(line, "leave"), { type: "leave", lingerSeconds: 60 });
  assert.deepEqual([session.state.phase, session.state.status, microphone.isOpen], ["away", "away", false]);
  await session.resume();
  const second = await served.lines.next();
  assert.equal(second.query.get("after"), "1");
  second.ready(1);
  await until(session, ({ status }) => status === "thinking");
  assert.deepEqual(session.state.turns.map(({ question }) => question), ["Hello?"]);
});

test("another session goes on with the trace, and is told all that was said", async () => {
  served.on(`GET ${API}/tasks/task_1`, (_, response) => json(response, TASK));
  const first = newSession();
  await calling(first);
  const { trace } = first;
  assert.ok(trace);
  first.goAway(15);
  player = new ScriptedPlayer();
  const second = newSession();
  await second.resume(trace);
  assert.equal((await served.lines.next()).query.get("after"), "0");
  const { phase, taskId, startedAt, persona } = second.state;
  assert.deepEqual([phase, taskId, startedAt, persona?.displayName], ["live", "task_1", trace.startedAt, "Guide"]);
});

test("a call that was left for good is over, and is not resumed", async () => {
  const session = newSession();
  const line = await calling(session);
  session.goAway();
  assert.deepEqual(await sent(line, "leave"), { type: "leave", lingerSeconds: 0 });
  await session.resume();
  assert.deepEqual([session.state.phase, session.trace], ["idle", null]);
});

test("a call that ended meanwhile is told, and one that cannot be reached may be tried again", async () => {
  const session = newSession();
  await calling(session);
  session.goAway(60);
  served.on(`GET ${API}/tasks/task_1`, (_, response) => refuse(response, 503, "TASK_UNAVAILABLE"));
  await session.resume();
  assert.deepEqual([session.state.phase, session.state.problem?.canRetry], ["away", true]);
  const over = { ...TASK, state: "STOPPED", stopReason: "CLIENT_GONE" };
  served.on(`GET ${API}/tasks/task_1`, (_, response) => json(response, over));
  await session.retry();
  assert.deepEqual([session.state.phase, session.state.problem?.reason, ended], ["idle", "CLIENT_GONE", ["CLIENT_GONE"]]);
});

test("a call that was left can be ended", async () => {
  const session = newSession();
  await calling(session);
  session.goAway(60);
  await session.stop();
  await untilAsked(`${API}/stop-task`);
  assert.equal(session.state.phase, "idle");
});

test("another call ends the one that was left", async () => {
  const session = newSession();
  await calling(session);
  session.goAway(60);
  served.on(`POST ${API}/create-task`, (_, response) => json(response, { ...TASK, taskId: "task_2" }));
  await session.start();
  const paths = served.asked.left.map(({ path, body }) => (path === `${API}/stop-task` ? JSON.parse(body).taskId : path));
  assert.deepEqual(paths.filter((path) => path === "task_1" || path === `${API}/create-task`), [
    `${API}/create-task`, "task_1", `${API}/create-task`,
  ]);
  assert.equal(session.state.taskId, "task_2");
});

test("a question waits for a line that is broken, and the state says so", async () => {
  const session = newSession();
  const line = await calling(session);
  line.cut();
  await until(session, ({ problem }) => problem?.code === "unreachable");
  session.ask("Hello?");
  assert.deepEqual([session.state.isAsking, session.state.problem?.code], [true, "unreachable"]);
  assert.match(messageOf(session.state.problem!, (key) => key, true), /unreachable-asked/);
});

test("the end of the task is told with its reason", async () => {
  const over = { ...TASK, state: "STOPPED", stopReason: "BUDGET" };
  served.on(`GET ${API}/tasks/task_1/events`, (_, response) => stream(response, ["state_changed", { task: over }]));
  const session = newSession();
  await session.start();
  await until(session, ({ phase }) => phase === "idle");
  const { code, reason } = session.state.problem ?? {};
  assert.deepEqual([code, reason, ended], ["ended", "BUDGET", ["BUDGET"]]);
});
