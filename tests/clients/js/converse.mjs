// A call by the packed package in Node: a question over the line, spoken, then one in writing.
// Prints what happened as JSON, one object per line.

import { readFileSync } from "node:fs";
import { Call, Conversation, Gateway } from "@parley/client";
import { WebSocket } from "ws";

const { GATEWAY, CREDENTIAL, WAV, PERSONA } = process.env;
const HEADER_BYTES = 44;
const FRAME_SAMPLES = 320;
const FRAME_MS = 20;

const print = (told) => console.log(JSON.stringify(told));
const gateway = new Gateway({ baseUrl: GATEWAY, credential: () => CREDENTIAL, WebSocket });
const ended = deferred();
const connected = deferred();
let turnOver = deferred();

const conversation = new Conversation({
  onTurn: ({ origin, question, end }) => end && turnOver.resolve({ origin, question, ...end }),
  onTurnGone: () => undefined,
});
const call = await Call.start(gateway, { personaId: PERSONA, lang: "en", greeting: "" }, {
  turnDetection: "MANUAL",
  listener: {
    onEvent: (event) => conversation.apply(event),
    onLine: (link) => link === "connected" && connected.resolve(),
    onRefusal: (problem) => connected.reject(problem),
    onEnd: (reason) => ended.resolve(reason),
  },
});
await connected.promise;

const sound = readFileSync(WAV).subarray(HEADER_BYTES);
const samples = new Int16Array(sound.buffer.slice(sound.byteOffset, sound.byteOffset + sound.byteLength));
for (let at = 0; at < samples.length; at += FRAME_SAMPLES) {
  call.line.sendAudio(samples.slice(at, at + FRAME_SAMPLES));
  await new Promise((resolve) => setTimeout(resolve, FRAME_MS));
}
call.line.commit();
print(await turnOver.promise);

turnOver = deferred();
const events = [];
const { taskId } = call.trace;
for await (const { event } of gateway.talk({ taskId, text: "Where is my order?" })) events.push(event);
print({ events, ...(await turnOver.promise) });
const { turns } = await gateway.conversation(taskId);
print({ turns: turns.map(({ transcript, heard }) => ({ transcript, heard })) });

// Not by the call: its end is what the watch must tell.
await gateway.stopTask(taskId);
print({ ended: await ended.promise });

function deferred() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}
