import assert from "node:assert/strict";
import { test } from "node:test";
import { readEvents } from "../dist/sse.js";

/** An answer that arrives in these pieces. */
function arriving(pieces: readonly Uint8Array[]): Response {
  return new Response(new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  }));
}

async function read(pieces: readonly Uint8Array[]): Promise<unknown[]> {
  const events = [];
  for await (const event of readEvents(arriving(pieces))) events.push(event);
  return events;
}

const STREAM = ': a comment\n\nevent: ready\nid: 3\ndata: {"text": "你好: {}"}\n\nevent: turn_started\ndata: {}\n\nevent: half';
const EVENTS = [
  { event: "ready", data: { text: "你好: {}" } },
  { event: "turn_started", data: {} },
];

test("events are read, comments and what is cut off are not", async () => {
  assert.deepEqual(await read([new TextEncoder().encode(STREAM)]), EVENTS);
});

test("it does not matter where the network cuts", async () => {
  assert.deepEqual(await read([...new TextEncoder().encode(STREAM)].map((byte) => Uint8Array.of(byte))), EVENTS);
});

test("who stops reading closes the connection", async () => {
  let isCancelled = false;
  const body = new ReadableStream({
    pull: (controller) => controller.enqueue(new TextEncoder().encode("event: ready\ndata: {}\n\n")),
    cancel: () => void (isCancelled = true),
  });
  for await (const _ of readEvents(new Response(body))) break;
  assert.ok(isCancelled);
});

test("an answer without a body has no events", async () => {
  assert.deepEqual(await readEvents(new Response(null, { status: 204 })).next(), { done: true, value: undefined });
});
