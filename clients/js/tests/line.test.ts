import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Line, type LineOptions } from "@parley/client";
import { Heard } from "./support/heard.js";
import { ServedGateway } from "./support/served_gateway.js";
import type { ServedLine } from "./support/served_line.js";

const FRAME = Int16Array.of(1, 2, 3);
const BYTES = Buffer.from(FRAME.buffer);

let gateway: ServedGateway;
let heard: Heard;
let line: Line;

beforeEach(async () => {
  gateway = await ServedGateway.start();
  heard = new Heard();
});

afterEach(async () => {
  line.close();
  await gateway.stop();
});

/** Opens a line and returns the gateway's end of it. */
function open(options: LineOptions = {}): Promise<ServedLine> {
  line = new Line(gateway.client(), "task_1", { listener: heard, ...options });
  return gateway.lines.next();
}

async function openReady(options: LineOptions = {}): Promise<ServedLine> {
  const served = await open(options);
  served.ready();
  assert.equal(await heard.links.next(), "connected");
  return served;
}

/** Breaks the connection; returns the gateway's end of the next. */
async function breakOff(served: ServedLine): Promise<ServedLine> {
  served.cut();
  assert.equal(await heard.links.next(), "broken");
  return gateway.lines.next();
}

test("it says what it wants", async () => {
  const { query, protocols } = await open({ turnDetection: "MANUAL", lang: "zh", after: 7 });
  assert.deepEqual(Object.fromEntries(query), { taskId: "task_1", turnDetection: "MANUAL", after: "7", lang: "zh" });
  assert.deepEqual(protocols, []);
});

test("events come once and in order, over as many sockets as it takes", async () => {
  const first = await openReady();
  first.event(1, "speech_started");
  first.event(2, "speech_ended");
  assert.equal((await heard.events.next()).sequence, 1);
  assert.equal((await heard.events.next()).sequence, 2);
  const second = await breakOff(first);
  assert.equal(second.query.get("after"), "2");
  second.ready(3);
  second.event(3, "turn_started");
  assert.equal((await heard.events.next()).sequence, 3);
  assert.equal(await heard.links.next(), "connected");
  assert.equal(line.sequence, 3);
  assert.deepEqual(heard.events.left, []);
});

test("it is connected only once what was missed has arrived", async () => {
  const second = await breakOff(await openReady());
  second.ready(1);
  second.event(1, "turn_started");
  await heard.events.next();
  assert.equal(await heard.links.next(), "connected");
});

test("an event that replaces one that was never recorded is reported", async () => {
  const served = await openReady();
  served.event(1, "turn_started");
  served.event(2, "reply_updated", { delta: "Hello" });
  served.send({ event: "conversation_suspended", data: {} });
  served.send({ event: "conversation_resumed", data: {} });
  served.event(2, "turn_failed", { toolCalls: [] });
  const names = [await heard.events.next(), await heard.events.next(), await heard.events.next()].map(({ event }) => event);
  assert.deepEqual(names, ["turn_started", "reply_updated", "turn_failed"]);
  assert.equal(await heard.links.next(), "suspended");
  assert.equal(await heard.links.next(), "connected");
});

test("a question that was not taken is asked again, under the same id", async () => {
  const first = await openReady();
  const requestId = line.ask("When do you open?");
  assert.deepEqual(await first.messages.next(), { type: "text", text: "When do you open?", requestId });
  assert.ok(line.isAsking);
  const second = await breakOff(first);
  second.ready();
  assert.deepEqual(await second.messages.next(), { type: "text", text: "When do you open?", requestId });
  second.event(1, "turn_started", { requestId });
  await heard.events.next();
  assert.ok(!line.isAsking);
});

test("a question that was taken in the break is not asked again", async () => {
  const first = await openReady();
  const requestId = line.ask("When do you open?");
  const second = await breakOff(first);
  second.ready(1);
  second.event(1, "turn_started", { requestId });
  assert.equal(await heard.links.next(), "connected");
  line.greet();
  assert.deepEqual(await second.messages.next(), { type: "greet" });
});

test("what is asked while there is no line is asked once there is one", async () => {
  const served = await open();
  line.ask("When do you open?");
  served.ready();
  assert.equal((await served.messages.next())["text"], "When do you open?");
});

test("an interruption forgets what was asked", async () => {
  const first = await openReady();
  line.ask("When do you open?");
  line.interrupt();
  assert.equal((await first.messages.next())["type"], "text");
  assert.equal((await first.messages.next())["type"], "interrupt");
  const second = await breakOff(first);
  second.ready();
  assert.equal(await heard.links.next(), "connected");
  line.greet();
  assert.deepEqual(await second.messages.next(), { type: "greet" });
});

test("what was said while holding is said again after a break", async () => {
  const first = await openReady({ turnDetection: "MANUAL" });
  line.sendAudio(FRAME);
  line.commit();
  assert.deepEqual(await first.sounds.next(), BYTES);
  assert.deepEqual(await first.messages.next(), { type: "commit" });
  const second = await breakOff(first);
  second.ready();
  assert.deepEqual(await second.sounds.next(), BYTES);
  assert.deepEqual(await second.messages.next(), { type: "commit" });
  second.event(1, "speech_ended");
  await heard.events.next();
  assert.ok(!line.isAsking);
});

test("a commit without sound is not sent", async () => {
  const served = await openReady({ turnDetection: "MANUAL" });
  line.commit();
  line.greet();
  assert.deepEqual(await served.messages.next(), { type: "greet" });
});

test("what an open microphone picks up in a break is sent afterwards", async () => {
  const served = await open();
  line.sendAudio(FRAME);
  served.ready();
  assert.deepEqual(await served.sounds.next(), BYTES);
});

test("a text of low priority is not repeated, others are, and those taken back are not", async () => {
  const first = await openReady();
  line.say("By the way.", { priority: "LOW" });
  const welcome = line.say("Welcome.", { priority: "HIGH", interruptible: false });
  const mistaken = line.say("Goodbye.");
  line.withdraw(mistaken);
  const sent = [await first.messages.next(), await first.messages.next(), await first.messages.next(), await first.messages.next()];
  assert.deepEqual(
    sent.map(({ type, text }) => [type, text]),
    [["say", "By the way."], ["say", "Welcome."], ["say", "Goodbye."], ["withdraw", undefined]],
  );
  const second = await breakOff(first);
  second.ready();
  const message = { type: "say", text: "Welcome.", priority: "HIGH", interruptible: false, requestId: welcome };
  assert.deepEqual(await second.messages.next(), message);
  line.greet();
  assert.deepEqual(await second.messages.next(), { type: "greet" });
});

test("a refusal is reported and not tried again, until it is reopened", async () => {
  const first = await open();
  first.refuse(404, "TASK_NOT_FOUND");
  const { status, reason, violations } = await heard.refusals.next();
  assert.deepEqual([status, reason, violations[0]?.field], [404, "TASK_NOT_FOUND", "roomId"]);
  assert.equal(line.link, "given-up");
  line.reopen();
  (await gateway.lines.next()).ready();
  assert.equal(await heard.links.next(), "connected");
});

test("the user leaves, perhaps for a moment", async () => {
  const served = await openReady();
  assert.ok(line.goAway());
  line.close();
  assert.deepEqual(await served.messages.next(), { type: "leave", lingerSeconds: 15 });
  await served.closed;
  assert.ok(!line.goAway());
});

test("a line that is closed stays closed, whatever is asked of it", async () => {
  await openReady();
  line.close();
  line.ask("When do you open?");
  const other = await open({ lang: "zh" });
  assert.equal(other.query.get("lang"), "zh");
});

test("a network that has changed gets another socket, and what was asked is asked again", async () => {
  const first = await openReady();
  line.ask("When do you open?");
  await first.messages.next();
  line.reconnect();
  assert.equal(await heard.links.next(), "broken");
  const second = await gateway.lines.next();
  await first.closed;
  second.ready();
  assert.equal((await second.messages.next())["text"], "When do you open?");
});
