import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Conversation, type ConversationEvent, split, type Turn } from "@parley/client";

const NOON = Date.parse("2026-01-31T12:00:00Z");

let conversation: Conversation;
let gone: number[];
let sequence = 0;

beforeEach(() => {
  gone = [];
  conversation = new Conversation({ onTurn: () => undefined, onTurnGone: (turn) => void gone.push(turn.id) });
});

function apply(event: string, data: object = {}, atMs = 0): void {
  const time = new Date(NOON + atMs).toISOString();
  conversation.apply({ event, sequence: ++sequence, data: { turnId: 1, time, ...data } } as ConversationEvent);
}

function turn(id = 1): Turn {
  const found = conversation.turns.get(id);
  assert.ok(found);
  return found;
}

test("a spoken turn, from the first word to what was heard", () => {
  apply("speech_started");
  assert.ok(conversation.isUserSpeaking);
  apply("transcript_updated", { text: "When do", isFinal: false });
  assert.deepEqual([turn().question, turn().isQuestionFinal, turn().origin], ["When do", false, null]);
  apply("speech_ended");
  assert.equal(conversation.activity, "thinking");
  apply("turn_started", { origin: "SPEECH", transcript: "When do you open?" });
  assert.deepEqual([turn().question, turn().isQuestionFinal], ["When do you open?", true]);
  apply("sentence_started", { text: "Six.", textStart: 9, audioOffsetMs: 900, words: [] });
  apply("sentence_started", { text: "At nine.", textStart: 0, audioOffsetMs: 0, words: [] });
  apply("sentence_started", { text: "At nine.", textStart: 0, audioOffsetMs: 0, words: [{ start: 0, end: 2, startMs: 0, endMs: 1 }] });
  assert.deepEqual(turn().sentences.map(({ text, words }) => [text, words.length]), [["At nine.", 1], ["Six.", 0]]);
  apply("playback_started", { method: "CALLBACK" });
  assert.equal(conversation.activity, "speaking");
  apply("turn_finished", { reply: "At nine. Six.", heard: "At nine.", interrupted: true, timings: {}, toolCalls: [] });
  assert.equal(conversation.activity, "resting");
  const { end } = turn();
  assert.ok(end);
  assert.deepEqual(split(end), ["At nine.", " Six."]);
  assert.deepEqual([end.isInterrupted, end.hasFailed], [true, false]);
});

test("noise is shown in advance and taken back", () => {
  apply("speech_started");
  assert.equal(turn().origin, null);
  apply("speech_dismissed", { reason: "NOISE", text: "" });
  assert.deepEqual(gone, [1]);
  assert.equal(conversation.latest, undefined);
  assert.equal(conversation.activity, "resting");
});

test("a voice over a reply makes no turn yet", () => {
  apply("turn_started", { origin: "TEXT", transcript: "When?" });
  apply("speech_started", { turnId: 2 });
  assert.equal(conversation.latest?.id, 1);
});

test("a recording without speech is taken back, another failure ends its turn", () => {
  apply("speech_started");
  apply("turn_failed", { problem: { reason: "NO_SPEECH" }, reply: "", heard: "" });
  assert.deepEqual(gone, [1]);
  apply("turn_started", { turnId: 2, origin: "TEXT", transcript: "When?" });
  apply("turn_failed", { turnId: 2, problem: { reason: "UNAVAILABLE" }, reply: "At nine.", heard: "At" });
  assert.deepEqual([turn(2).end?.hasFailed, turn(2).end?.isInterrupted], [true, true]);
});

test("a line that broke will not report the end of an utterance", () => {
  apply("speech_started");
  conversation.forgetVoice();
  assert.ok(!conversation.isUserSpeaking);
  assert.deepEqual(gone, [1]);
});

test("a reply that began while the line was away is that far on", () => {
  apply("turn_started", { origin: "TEXT", transcript: "When?" }, 60_000);
  apply("playback_started", { method: "CALLBACK" }, 50_000);
  const { spokenSince } = turn();
  assert.ok(spokenSince !== null);
  assert.ok(performance.now() - spokenSince >= 10_000);
});
