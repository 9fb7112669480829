import assert from "node:assert/strict";
import { test } from "node:test";
import { captionOf, type SentenceData, type Turn } from "@parley/client";

const SPOKEN_SINCE = 1000;

function sentence(text: string, audioOffsetMs: number, words: { start: number; startMs: number }[] = []): SentenceData {
  return { text, audioOffsetMs, words, turnId: 1, textStart: 0, textEnd: 0, time: "" } as unknown as SentenceData;
}

/** Returns a caption some time after the first sound: what is spoken, and what is still to come. */
function captionAt(heardMs: number, ...sentences: SentenceData[]): [spoken: string, coming: string] {
  const turn = { sentences, spokenSince: SPOKEN_SINCE } as unknown as Turn;
  const words = captionOf(turn, SPOKEN_SINCE + heardMs);
  const texts = [true, false].map((wanted) => words.filter(({ isSpoken }) => isSpoken === wanted));
  return texts.map((each) => each.map(({ text }) => text).join("")) as [string, string];
}

const TIMED = sentence("We open at 9.", 100, [
  { start: 0, startMs: 0 },
  { start: 3, startMs: 200 },
  { start: 8, startMs: 400 },
  { start: 11, startMs: 600 },
]);

test("words appear when the voice says them", () => {
  assert.deepEqual(captionAt(50, TIMED), ["", "We open at 9."]);
  assert.deepEqual(captionAt(100, TIMED), ["We ", "open at 9."]);
  assert.deepEqual(captionAt(550, TIMED), ["We open at ", "9."]);
  assert.deepEqual(captionAt(700, TIMED), ["We open at 9.", ""]);
});

test("a sentence that has not begun is not shown; one that has is set apart by a space", () => {
  const next = sentence("Bring a coat.", 2000);
  assert.deepEqual(captionAt(1900, TIMED, next), ["We open at 9.", ""]);
  assert.deepEqual(captionAt(9000, TIMED, next), ["We open at 9. Bring a coat.", ""]);
});

test("a voice without times is followed by typical ones", () => {
  const untimed = sentence("One two", 0);
  assert.deepEqual(captionAt(0, untimed), ["One ", "two"]);
  assert.deepEqual(captionAt(1000, untimed), ["One two", ""]);
});

test("Chinese appears character by character, and without spaces", () => {
  assert.deepEqual(captionAt(0, sentence("你好。", 0)), ["你", "好。"]);
  assert.deepEqual(captionAt(9000, sentence("你好。", 0), sentence("再见。", 900)), ["你好。再见。", ""]);
});

test("characters that take two code units are whole", () => {
  const emoji = sentence("😀 hi", 0, [{ start: 0, startMs: 0 }, { start: 2, startMs: 100 }]);
  assert.deepEqual(captionAt(0, emoji), ["😀 ", "hi"]);
});

test("nothing is shown before the reply is heard", () => {
  assert.deepEqual(captionOf({ sentences: [TIMED], spokenSince: null } as unknown as Turn), []);
});
