import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { afterEach, beforeEach, test } from "node:test";
import { type CredentialRequest, Gateway, Problem, Unreachable } from "@parley/client";
import { Connection } from "../dist/connection.js";
import { json, refuse, ServedGateway, stream } from "./support/served_gateway.js";

const TASK = { taskId: "task_1", state: "STREAMING", roomId: "room_1", streamId: "stream_1" };
const TASKS = "/api/digital-human/tasks";

let gateway: ServedGateway;

beforeEach(async () => {
  gateway = await ServedGateway.start();
});

afterEach(() => gateway.stop());

/** Returns what a call rejects with. */
async function failureOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(() => assert.fail("it was not refused"), (error: unknown) => error);
}

test("a task is created, changed and stopped", async () => {
  gateway.on("POST /api/digital-human/create-task", (_, response) => json(response, TASK));
  gateway.on(`PATCH ${TASKS}/task_1`, (_, response) => json(response, TASK));
  gateway.on("POST /api/digital-human/stop-task", (_, response) => json(response, TASK));
  const client = gateway.client();
  const { taskId } = await client.createTask({ roomId: "room_1", streamId: "stream_1" }, { idempotencyKey: "order 1" });
  const created = await gateway.asked.next();
  assert.deepEqual(JSON.parse(created.body), { roomId: "room_1", streamId: "stream_1" });
  assert.equal(created.headers["idempotency-key"], "order 1");
  assert.equal(created.headers["content-type"], "application/json");
  assert.equal(created.headers.authorization, undefined);
  await client.updateTask(taskId, { variables: { name: "Ada" } });
  assert.deepEqual(JSON.parse((await gateway.asked.next()).body), { variables: { name: "Ada" } });
  await client.stopTask(taskId);
  assert.deepEqual(JSON.parse((await gateway.asked.next()).body), { taskId: "task_1" });
});

test("tasks are listed by state, user and page", async () => {
  gateway.on(`GET ${TASKS}`, (_, response) => json(response, { tasks: [TASK], nextPageToken: "next" }));
  const { tasks, nextPageToken } = await gateway.client().tasks({ states: ["STREAMING", "FAILED"], userId: "ada", pageSize: 1 });
  assert.deepEqual([tasks.length, nextPageToken], [1, "next"]);
  const { query } = await gateway.asked.next();
  assert.equal(query.toString(), "state=STREAMING&state=FAILED&userId=ada&pageSize=1");
});

test("ids are escaped", async () => {
  const failure = await failureOf(gateway.client().withdraw("../keys", "a/b"));
  assert.ok(failure instanceof Problem);
  assert.equal((await gateway.asked.next()).path, `${TASKS}/..%2Fkeys/say/a%2Fb`);
});

test("a problem says whose fault it is, and when to come back", async () => {
  gateway.on("POST /api/digital-human/create-task", (_, response) =>
    refuse(response, 429, "QUOTA_EXCEEDED", { headers: { "Retry-After": "7" } }),
  );
  const failure = await failureOf(gateway.client().createTask({ roomId: "", streamId: "" }));
  assert.ok(failure instanceof Problem);
  const { name, message, status, reason, violations, metadata, requestId, retryAfterMs } = failure;
  assert.deepEqual([name, message, status, reason], ["Problem", "roomId: QUOTA_EXCEEDED", 429, "QUOTA_EXCEEDED"]);
  assert.deepEqual(violations, [{ field: "roomId", rule: "string.max_bytes", description: "must be at most 128 bytes" }]);
  assert.deepEqual([metadata, requestId, retryAfterMs], [{ limit: "1" }, "request_1", 7000]);
  assert.deepEqual([failure.recovery, failure.isBusy], ["LIMIT", true]);
});

test("what something else than the gateway answers is a problem, too", async () => {
  gateway.on("GET /api/config", (_, response) => response.writeHead(502, "Bad Gateway").end("<html>"));
  const failure = await failureOf(gateway.client().config());
  assert.ok(failure instanceof Problem);
  assert.deepEqual([failure.status, failure.reason, failure.message], [502, "INTERNAL", "Bad Gateway"]);
  assert.equal(failure.retryAfterMs, undefined);
});

test("a gateway that is not there is unreachable", async () => {
  const { baseUrl } = gateway;
  await gateway.stop();
  assert.ok((await failureOf(new Gateway({ baseUrl }).config())) instanceof Unreachable);
  gateway = await ServedGateway.start();
});

test("one that does not answer in time is unreachable", async () => {
  gateway.on("GET /api/config", () => undefined);
  const connection = new Connection({ baseUrl: gateway.baseUrl });
  assert.ok((await failureOf(connection.send("/api/config", { deadlineMs: 10 }, () => null))) instanceof Unreachable);
});

test("a caller that gives up is told what it gave up with", async () => {
  gateway.on("POST /api/digital-human/create-task", () => undefined);
  const leaving = new AbortController();
  const creating = gateway.client().createTask({ roomId: "room_1", streamId: "stream_1" }, { signal: leaving.signal });
  await gateway.asked.next();
  leaving.abort(new Error("The user has left."));
  assert.equal(String(await failureOf(creating)), "Error: The user has left.");
});

test("a signal that lives on holds nothing of requests that are over", async () => {
  const { signal } = new AbortController();
  gateway.on("GET /api/digital-human/tasks/task_1/events", (_, response) => {
    stream(response, ["snapshot", { task: TASK }], ["state_changed", { task: TASK }]);
  });
  for await (const _ of gateway.client().events("task_1", { signal })) {
    assert.equal(getEventListeners(signal, "abort").length, 1);
    break;
  }
  await assert.rejects(gateway.client().ask({ taskId: "task_1", text: "Hello?" }, { signal }), Problem);
  assert.deepEqual(getEventListeners(signal, "abort"), []);
});

test("without a page, it must be said where the gateway is", () => {
  assert.throws(() => new Gateway(), /baseUrl/);
});

test("a credential is shown, and asked for once more after a 401", async () => {
  const asked: CredentialRequest[] = [];
  const client = gateway.client({
    credential: async (request) => {
      asked.push(request);
      return request.refused ? "fresh" : "stale";
    },
  });
  gateway.on(`GET ${TASKS}/task_1`, ({ headers }, response) => {
    if (headers.authorization === "Bearer fresh") json(response, TASK);
    else refuse(response, 401, "UNAUTHENTICATED");
  });
  assert.equal((await client.task("task_1")).state, "STREAMING");
  const purpose = { taskId: "task_1" };
  assert.deepEqual(asked, [{ purpose }, { purpose, refused: "stale" }]);
});

test("a credential that has no successor is refused without another try", async () => {
  gateway.on("GET /api/config", (_, response) => refuse(response, 401, "UNAUTHENTICATED"));
  const failure = await failureOf(gateway.client({ credential: () => "key" }).config());
  assert.equal((failure as Problem).status, 401);
  await gateway.asked.next();
  assert.deepEqual(gateway.asked.left, []);
});

test("a written question is answered with its turn", async () => {
  gateway.on("POST /api/digital-human/talk-to-ai", (_, response) => json(response, { turnId: 1, heard: "At nine." }));
  assert.equal((await gateway.client().ask({ taskId: "task_1", text: "When?" })).heard, "At nine.");
  assert.deepEqual(JSON.parse((await gateway.asked.next()).body), { taskId: "task_1", text: "When?" });
});

test("a recording is sent as a form", async () => {
  gateway.on("POST /api/digital-human/talk-to-ai", (_, response) => json(response, { turnId: 1 }));
  const audio = new Blob(["RIFF"], { type: "audio/wav" });
  await gateway.client().ask({ taskId: "task_1", lang: "en", audio });
  const { headers, body } = await gateway.asked.next();
  assert.match(headers["content-type"] ?? "", /^multipart\/form-data; boundary=/);
  assert.match(body, /name="taskId"\r\n\r\ntask_1\r\n/);
  assert.match(body, /name="lang"\r\n\r\nen\r\n/);
  assert.match(body, /name="audio"; filename="[^"]+"\r\nContent-Type: audio\/wav\r\n\r\nRIFF/);
});

test("a question's events arrive as they happen", async () => {
  gateway.on("POST /api/digital-human/talk-to-ai", (_, response) => stream(response, ["ready", { taskId: "task_1" }]));
  for await (const { event } of gateway.client().talk({ taskId: "task_1", text: "When?" })) {
    assert.equal(event, "ready");
    break;
  }
  assert.equal((await gateway.asked.next()).headers.accept, "text/event-stream");
});

test("a refused question has no events", async () => {
  gateway.on("POST /api/digital-human/talk-to-ai", (_, response) => refuse(response, 409, "TASK_NOT_ON_AIR"));
  const failure = await failureOf(gateway.client().talk({ taskId: "task_1", text: "When?" }).next());
  assert.equal((failure as Problem).reason, "TASK_NOT_ON_AIR");
});

test("a task is watched to its end", async () => {
  gateway.on(`GET ${TASKS}/task_1/events`, (_, response) => {
    stream(
      response,
      ["snapshot", { task: TASK, lastSequence: 0 }],
      ["turn_started", { turnId: 1 }],
      ["state_changed", { task: { ...TASK, state: "STOPPED" } }],
    );
    response.end();
  });
  const states: string[] = [];
  for await (const { state } of gateway.client().watch("task_1", new AbortController().signal)) states.push(state);
  assert.deepEqual(states, ["STREAMING", "STOPPED"]);
  await gateway.client().events("task_1", { after: 12 }).next();
  await gateway.asked.next();
  assert.equal((await gateway.asked.next()).query.get("after"), "12");
});

test("a viewer's token lives by the server's clock", async () => {
  gateway.on("GET /api/token", (_, response) => {
    response.setHeader("Date", new Date(Date.now() - 3_600_000).toUTCString());
    const expiresAt = new Date(Date.now() - 3_600_000 + 60_000).toISOString();
    json(response, { token: "04x", expiresAt, appId: 1, playback: { protocol: "WHEP", url: "http://engine/whep" } });
  });
  const token = await gateway.client().viewerToken({ userId: "ada", roomId: "room_1", streamId: "stream_1" });
  assert.ok(token.lifetimeMs > 0 && token.lifetimeMs <= 61_000, String(token.lifetimeMs));
  assert.ok(token.clockAheadMs >= 3_600_000, String(token.clockAheadMs));
  assert.equal((await gateway.asked.next()).query.toString(), "userId=ada&roomId=room_1&streamId=stream_1");
});

test("the voice alone is PCM", async () => {
  gateway.on("POST /api/v1/audio/speech", (_, response) => response.end(Buffer.from([1, 2, 3, 4])));
  const pcm = await gateway.client().speak("Hello.", "af_heart");
  assert.deepEqual([...new Uint8Array(pcm)], [1, 2, 3, 4]);
  const { body } = await gateway.asked.next();
  assert.deepEqual(JSON.parse(body), { input: "Hello.", voice: "af_heart", response_format: "pcm" });
});
