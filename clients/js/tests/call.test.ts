import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { afterEach, beforeEach, test } from "node:test";
import { Call, type CallListener, type CallOptions, Ended, Gateway, type Link, type Trace, type Watching } from "@parley/client";
import { Queue } from "./support/queue.js";
import { json, refuse, ServedGateway, stream } from "./support/served_gateway.js";
import { ScriptedPlayer } from "./support/scripted_player.js";

const TASK = { taskId: "task_1", state: "STREAMING", roomId: "acme_room_1", streamId: "acme_stream_1", personaId: "concierge" };
const TASKS = "/api/digital-human/tasks";

class Listener implements CallListener {
  readonly pictures = new Queue<Link>();
  readonly ends = new Queue<string>();

  onPicture(link: Link): void {
    this.pictures.push(link);
  }

  onEnd(reason: string): void {
    this.ends.push(reason);
  }
}

let served: ServedGateway;
let client: Gateway;
let listener: Listener;
let players: Queue<ScriptedPlayer>;
let watches: Queue<ServerResponse>;
let watched: Queue<Watching>;
let call: Call | null;

beforeEach(async () => {
  served = await ServedGateway.start();
  client = served.client();
  listener = new Listener();
  [players, watches, watched, call] = [new Queue(), new Queue(), new Queue(), null];
  served.on("POST /api/digital-human/create-task", (_, response) => json(response, TASK));
  served.on("POST /api/digital-human/stop-task", (_, response) => json(response, TASK));
  served.on(`GET ${TASKS}/task_1/events`, (_, response) => {
    stream(response, ["snapshot", { task: TASK, lastSequence: 0 }]);
    watches.push(response);
  });
  served.on("GET /api/token", (_, response) => {
    const expiresAt = new Date(Date.now() + 60_000).toISOString();
    json(response, { token: "04x", expiresAt, appId: 1, playback: { protocol: "WHEP", url: "http://engine/whep" } });
  });
});

afterEach(async () => {
  call?.leave();
  await served.stop();
});

/** Options of a call whose players do what the test says. */
function options(): CallOptions {
  return {
    listener,
    createPlayer: async (watching) => {
      const player = new ScriptedPlayer();
      players.push(player);
      watched.push(watching);
      return player;
    },
  };
}

async function start(): Promise<Call> {
  call = await Call.start(client, { personaId: "concierge", lang: undefined, greeting: "", variables: { name: "Ada" } }, options());
  return call;
}

/** The request for a path; those before it are of no interest. */
async function askedFor(path: string) {
  for (;;) {
    const asked = await served.asked.next();
    if (asked.path === path) return asked;
  }
}

test("it asks for what is wanted, and watches what the answer names", async () => {
  const { trace } = await start();
  const body = JSON.parse((await askedFor("/api/digital-human/create-task")).body) as Record<string, unknown>;
  assert.match(String(body["roomId"]), /^room_[\da-f-]{36}$/);
  assert.deepEqual(
    [body["personaId"], body["lang"], body["greeting"], body["variables"], body["greetWhen"], body["maxAbsenceSeconds"]],
    ["concierge", undefined, "", { name: "Ada" }, "WATCHED", 60],
  );
  assert.equal(trace.personaId, "concierge");
  const { viewer } = await watched.next();
  assert.deepEqual([viewer.roomId, viewer.streamId], ["acme_room_1", "acme_stream_1"]);
  assert.match((await askedFor("/api/token")).query.get("userId") ?? "", /^user_/);
});

test("the user is greeted once line and picture are there", async () => {
  await start();
  const line = await served.lines.next();
  line.ready();
  (await players.next()).show();
  assert.equal(await listener.pictures.next(), "connected");
  assert.deepEqual(await line.messages.next(), { type: "greet" });
});

test("without a player the line is all there is to wait for", async () => {
  call = await Call.start(client, {}, { listener });
  const line = await served.lines.next();
  line.ready();
  assert.deepEqual(await line.messages.next(), { type: "greet" });
});

test("a picture that breaks off is played again", async () => {
  await start();
  const first = await players.next();
  first.show();
  assert.equal(await listener.pictures.next(), "connected");
  first.breakOff();
  assert.equal(await listener.pictures.next(), "broken");
  (await players.next()).show();
  assert.equal(await listener.pictures.next(), "connected");
  assert.ok(first.isStopped);
});

test("its end is reported once, with the reason, and everything is left", async () => {
  await start();
  const line = await served.lines.next();
  const player = await players.next();
  const watch = await watches.next();
  const stopped = { ...TASK, state: "STOPPED", stopReason: "IDLE" };
  watch.write(`event: state_changed\ndata: ${JSON.stringify({ task: stopped })}\n\n`);
  assert.equal(await listener.ends.next(), "IDLE");
  await line.closed;
  assert.ok(player.isStopped);
  assert.deepEqual(listener.ends.left, []);
});

test("a watch that breaks off is taken up again", async () => {
  await start();
  (await watches.next()).destroy();
  served.on(`GET ${TASKS}/task_1/events`, (_, response) => refuse(response, 404, "TASK_NOT_FOUND"));
  assert.equal(await listener.ends.next(), "CLOUD");
});

test("hanging up stops the task", async () => {
  const started = await start();
  const line = await served.lines.next();
  await started.stop();
  await line.closed;
  assert.deepEqual(JSON.parse((await askedFor("/api/digital-human/stop-task")).body), { taskId: "task_1" });
});

test("who goes away leaves by the line, or stops the task where there is none", async () => {
  const started = await start();
  const line = await served.lines.next();
  line.ready();
  (await players.next()).show();
  await line.messages.next();
  started.goAway();
  assert.equal((await line.messages.next())["type"], "leave");
  await line.closed;
  const other = await start();
  other.goAway();
  await askedFor("/api/digital-human/stop-task");
});

test("a call is resumed by its trace, unless it is over", async () => {
  const { trace } = await start();
  const kept = JSON.parse(JSON.stringify(trace)) as Trace;
  call?.leave();
  served.on(`GET ${TASKS}/task_1`, (_, response) => json(response, TASK));
  call = await Call.resume(client, kept, options());
  assert.deepEqual(call.trace, trace);
  call.leave();
  served.on(`GET ${TASKS}/task_1`, (_, response) => json(response, { ...TASK, state: "STOPPED", stopReason: "BUDGET" }));
  await assert.rejects(Call.resume(client, kept), (error) => error instanceof Ended && error.reason === "BUDGET");
});

test("a player that is made when the call is over is stopped", async () => {
  const asked = new Queue<(player: ScriptedPlayer) => void>();
  const createPlayer = (): Promise<ScriptedPlayer> => new Promise((resolve) => asked.push(resolve));
  const started = await Call.start(client, {}, { listener, createPlayer });
  const give = await asked.next();
  started.leave();
  const player = new ScriptedPlayer();
  give(player);
  await player.stopped;
});
