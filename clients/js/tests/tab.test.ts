import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { keepThroughReloads, Session, type SessionMicrophone, type SessionState } from "@parley/client/ui";
import { ScriptedPlayer } from "./support/scripted_player.js";
import { json, ServedGateway, stream } from "./support/served_gateway.js";
import { Tab } from "./support/tab.js";

const API = "/api/digital-human";
const CONFIG = { personas: [], digitalHumans: [], defaultPersonaId: "guide", languages: ["en"], maxAudioSeconds: 60 };
const KEY = "parley.call";

let served: ServedGateway;
let tab: Tab;
let sessions: Session[];
let created: number;

beforeEach(async () => {
  served = await ServedGateway.start();
  [tab, sessions, created] = [new Tab(), [], 0];
  served.on("GET /api/config", (_, response) => json(response, CONFIG));
  served.on(`POST ${API}/stop-task`, (_, response) => json(response, {}));
  served.on(`POST ${API}/create-task`, (_, response) => json(response, taskOf(++created)));
  for (const number of [1, 2]) {
    const task = taskOf(number);
    served.on(`GET ${API}/tasks/${task.taskId}`, (_, response) => json(response, task));
    served.on(`GET ${API}/tasks/${task.taskId}/events`, (_, response) => stream(response, ["snapshot", { task, lastSequence: 0 }]));
  }
  tab.enter();
});

afterEach(async () => {
  for (const session of sessions) await session.stop();
  await served.stop();
});

function taskOf(number: number) {
  const taskId = `task_${number}`;
  return { taskId, state: "STREAMING", roomId: "room", streamId: "stream", personaId: "guide", lang: "en" };
}

/** A session of the page that is shown. */
function loaded(key = KEY): Session {
  const microphone: SessionMicrophone = { isEnabled: false, open: async () => undefined, close: async () => undefined };
  const session = new Session({
    setup: () => ({ gateway: served.client(), request: {}, createPlayer: async () => new ScriptedPlayer() }),
    microphone: () => microphone,
  });
  sessions.push(session);
  keepThroughReloads(session, key);
  return session;
}

function until(session: Session, isSo: (state: SessionState) => boolean): Promise<void> {
  return new Promise((resolve) => {
    const check = (): void => {
      if (isSo(session.state)) resolve();
    };
    session.subscribe(check);
    check();
  });
}

/** Resolves when the session has a call and its microphone. */
function live(session: Session, microphone = "on"): Promise<void> {
  return until(session, (state) => state.phase === "live" && state.microphone === microphone);
}

async function calling(): Promise<Session> {
  const session = loaded();
  await session.start();
  await live(session);
  return session;
}

/** Resolves once all that could be resumed by now would be. */
async function settled(): Promise<void> {
  const held = new AbortController();
  const name = "parley.call task_1";
  await tab.locks?.request(name, { signal: AbortSignal.timeout(1500) }, async () => held.abort()).catch(() => undefined);
}

function kept(of: Tab = tab): { trace: { taskId: string }; leftAt?: number } | null {
  return JSON.parse(of.stored.get(KEY) ?? "null");
}

for (const locks of ["with", "without"]) {
  test(`a page that is loaded again goes on with the call, ${locks} locks`, async () => {
    if (locks === "without") (tab = new Tab(null)).enter();
    await calling();
    tab.leave();
    assert.ok(kept()?.leftAt);
    const second = loaded();
    await live(second);
    assert.deepEqual([second.state.taskId, created, kept()?.leftAt], ["task_1", 1, undefined]);
  });

  test(`a tab that is duplicated leaves the call to the other one, ${locks} locks`, async () => {
    if (locks === "without") (tab = new Tab(null)).enter();
    const first = await calling();
    tab.duplicate().enter();
    const second = loaded();
    await settled();
    assert.deepEqual([first.state.phase, second.state.phase, second.trace], ["live", "idle", null]);
  });
}

test("a tab that crashed and is restored goes on with the call", async () => {
  await calling();
  // Its locks are released with it.
  tab = new Tab(undefined, tab.stored);
  tab.enter();
  await live(loaded());
});

test("of two sessions with one key, one resumes the call, and the other does not forget it", async () => {
  (tab = new Tab(null)).enter();
  loaded();
  await calling();
  tab.leave();
  assert.equal(kept()?.trace.taskId, "task_1");
  const [first, second] = [loaded(), loaded()];
  await live(first);
  assert.equal(second.trace, null);
  await second.start();
  await first.stop();
  assert.equal(kept()?.trace.taskId, "task_2");
});

test("a session does not go on with a call that another one of its page ends", async () => {
  const first = await calling();
  const second = loaded();
  await first.stop();
  await settled();
  assert.deepEqual([second.trace, second.state.problem], [null, null]);
});

test("a page from the back-forward cache goes on with its call", async () => {
  const session = await calling();
  const goBack = tab.leave();
  assert.equal(session.state.phase, "away");
  goBack();
  await live(session);
  assert.deepEqual([kept()?.trace.taskId, kept()?.leftAt], ["task_1", undefined]);
});

test("a page from the back-forward cache goes on with the call that the tab had last", async () => {
  const first = await calling();
  const goBack = tab.leave();
  const second = loaded();
  await live(second);
  await second.stop();
  await second.start();
  goBack();
  await until(first, ({ phase, taskId }) => phase === "live" && taskId === "task_2");
  assert.equal(kept()?.leftAt, undefined);
});

test("a microphone that was muted is muted after a reload", async () => {
  const first = await calling();
  first.mute();
  tab.leave();
  await live(loaded(), "muted");
  tab.leave();
  await live(loaded(), "muted");
});

test("nothing is kept of a call that has ended", async () => {
  const session = await calling();
  assert.ok(kept());
  await session.stop();
  assert.equal(kept(), null);
});
