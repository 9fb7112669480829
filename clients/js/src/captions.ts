// Captions: which words of a reply are to be seen, and when each is spoken.

import type { SentenceData } from "./contract.js";
import type { Turn } from "./conversation.js";

/** A piece of the reply as it appears: a word with what follows it. */
export interface Piece {
  text: string;
  /** When it is spoken, after the reply's first sound. */
  dueMs: number;
}

const CHARACTERS_PER_SECOND = { words: 15, ideographs: 4.5 };
const IDEOGRAPHS = /[\u3000-\u9fff\uff00-\uffef]/;

/** A piece of a caption, and whether it is spoken already. */
export interface CaptionWord {
  readonly text: string;
  readonly isSpoken: boolean;
}

/**
 * Returns a turn's reply as far as its sentences have begun, for a time on the clock of
 * `performance`; ask again for each frame. Empty before the reply is heard, and until then only.
 */
export function captionOf({ sentences, spokenSince }: Turn, now = performance.now()): CaptionWord[] {
  if (spokenSince === null) return [];
  const heardMs = now - spokenSince;
  const begun = sentences.filter(({ audioOffsetMs }, index) => index === 0 || audioOffsetMs <= heardMs);
  return toPieces(begun).map(({ text, dueMs }) => ({ text, isSpoken: dueMs <= heardMs }));
}

/** Returns the pieces of the sentences that have become sound. */
export function toPieces(sentences: readonly SentenceData[]): Piece[] {
  return sentences.flatMap((sentence, index) => {
    const before = sentences[index - 1];
    const pieces = sentence.words.length ? timed(sentence) : estimated(sentence);
    const first = pieces[0];
    if (first && before && needsSpace(before.text, first.text)) first.text = ` ${first.text}`;
    return pieces;
  });
}

/** Cuts before each word that the voice gives a time for. */
function timed({ text, words, audioOffsetMs }: SentenceData): Piece[] {
  const characters = [...text];
  return words.map((word, index) => ({
    text: characters.slice(index ? word.start : 0, words[index + 1]?.start).join(""),
    dueMs: audioOffsetMs + word.startMs,
  }));
}

/** Estimates when words are spoken, for a voice that gives no times. */
function estimated({ text, audioOffsetMs }: SentenceData): Piece[] {
  const isIdeographic = IDEOGRAPHS.test(text);
  const rate = isIdeographic ? CHARACTERS_PER_SECOND.ideographs : CHARACTERS_PER_SECOND.words;
  let at = 0;
  return (text.match(isIdeographic ? /[\s\S]/gu : /\S+\s*/g) ?? []).map((piece) => {
    const dueMs = audioOffsetMs + (at / rate) * 1000;
    at += piece.length;
    return { text: piece, dueMs };
  });
}

function needsSpace(before: string, after: string): boolean {
  return !/\s$/.test(before) && !/^\s/.test(after) && !IDEOGRAPHS.test(before.slice(-1));
}
