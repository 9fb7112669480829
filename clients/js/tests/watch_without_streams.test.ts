import assert from "node:assert/strict";
import { test } from "node:test";
import { json, ServedGateway } from "./support/served_gateway.js";

// As in React Native, whose answers have no body to read from.
delete (Response.prototype as { body?: unknown }).body;

test("a task is looked at where answers cannot be streamed", async () => {
  const gateway = await ServedGateway.start();
  const states = ["STARTING", "STARTING", "STOPPED"];
  gateway.on("GET /api/digital-human/tasks/task_1", (_, response) => json(response, { taskId: "task_1", state: states.shift() }));
  const seen: string[] = [];
  for await (const { state } of gateway.client().watch("task_1", new AbortController().signal)) seen.push(state);
  assert.deepEqual(seen, ["STARTING", "STOPPED"]);
  await gateway.stop();
});
