import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Line, ToolFailure, type Tools } from "@parley/client";
import { Heard } from "./support/heard.js";
import { ServedGateway } from "./support/served_gateway.js";
import type { ServedLine } from "./support/served_line.js";

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

async function open(tools: Tools): Promise<ServedLine> {
  line = new Line(gateway.client(), "task_1", { listener: heard, tools });
  return gateway.lines.next();
}

function call(served: ServedLine, sequence: number, name: string, callId: string): void {
  served.event(sequence, "tool_called", { callId, name, arguments: '{"floor": 2}' });
}

test("a call is made with its arguments, and answered with what it returns", async () => {
  const served = await open({ map: ({ floor }, { callId }) => ({ floor, callId }) });
  served.ready();
  call(served, 1, "map", "a");
  assert.deepEqual(await served.messages.next(), { type: "tool_result", callId: "a", result: '{"floor":2,"callId":"a"}' });
  assert.equal((await heard.events.next()).event, "tool_called");
});

test("text is told as it is, and nothing is done", async () => {
  const served = await open({ text: () => "Shown.", nothing: async () => undefined });
  served.ready();
  call(served, 1, "text", "a");
  assert.equal((await served.messages.next())["result"], "Shown.");
  call(served, 2, "nothing", "b");
  assert.equal((await served.messages.next())["result"], "done");
});

test("calls of other clients' functions are left to them", async () => {
  const served = await open({ map: () => "" });
  served.ready();
  call(served, 1, "toString", "a");
  call(served, 2, "map", "b");
  assert.equal((await served.messages.next())["callId"], "b");
});

test("a failure is told in its own words, and an error is not", async () => {
  const served = await open({
    full: () => Promise.reject(new ToolFailure("The room is full.")),
    broken: () => {
      throw new Error("password=hunter2");
    },
  });
  served.ready();
  call(served, 1, "full", "a");
  assert.deepEqual(await served.messages.next(), { type: "tool_result", callId: "a", failed: true, result: "The room is full." });
  assert.deepEqual(heard.toolErrors.left, []);
  call(served, 2, "broken", "b");
  assert.deepEqual(await served.messages.next(), { type: "tool_result", callId: "b", failed: true });
  assert.match(String(await heard.toolErrors.next()), /hunter2/);
});

test("a result that is too long is a failure", async () => {
  const served = await open({ map: () => "x".repeat(20_001) });
  served.ready();
  call(served, 1, "map", "a");
  assert.equal((await served.messages.next())["failed"], true);
});

test("of calls in the past only those are made that still run", async () => {
  const served = await open({ map: () => "Shown." });
  served.ready(3);
  call(served, 1, "map", "over");
  call(served, 2, "map", "runs");
  const toolCalls = [{ callId: "over", name: "map", outcome: "SUCCEEDED" }, { callId: "runs", name: "map" }];
  served.event(3, "turn_finished", { reply: "", heard: "", interrupted: false, timings: {}, toolCalls });
  assert.equal((await served.messages.next())["callId"], "runs");
});

test("a result that a break may have lost is told again, also after an interruption", async () => {
  let made = 0;
  const first = await open({ map: () => String(++made) });
  first.ready();
  call(first, 1, "map", "a");
  assert.equal((await first.messages.next())["result"], "1");
  line.interrupt();
  first.cut();
  const second = await gateway.lines.next();
  second.ready(1);
  assert.deepEqual(await second.messages.next(), { type: "tool_result", callId: "a", result: "1" });
  const toolCalls = [{ callId: "a", name: "map", outcome: "SUCCEEDED" }];
  second.event(2, "turn_finished", { reply: "", heard: "", interrupted: true, timings: {}, toolCalls });
  await heard.events.next();
  await heard.events.next();
  second.cut();
  const third = await gateway.lines.next();
  third.ready(2);
  line.ask("When do you open?");
  assert.equal((await third.messages.next())["type"], "text");
});
