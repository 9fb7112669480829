// The turns of a call, put together from the line's events.

import type { ConversationEvent, Origin, SentenceData, Timings } from "./contract.js";

export interface Turn {
  readonly id: number;
  /** Where it comes from; null while the user's words may still be dismissed. */
  origin: Origin | null;
  question: string;
  isQuestionFinal: boolean;
  /** By their first character in the reply, in order. */
  sentences: SentenceData[];
  /** When the digital human began to speak, on the clock of `performance`. */
  spokenSince: number | null;
  /** How it ended; null while it goes on. */
  end: End | null;
}

export interface End {
  reply: string;
  heard: string;
  isInterrupted: boolean;
  hasFailed: boolean;
  timings: Timings;
}

export type Activity = "resting" | "thinking" | "speaking";

export interface ConversationListener {
  /** It has changed. */
  onTurn?(turn: Turn): void;
  /** It was dismissed; the turn before it is the latest again. */
  onTurnGone?(turn: Turn, before: Turn | undefined): void;
}

/** The turns of a call. */
export class Conversation {
  readonly turns = new Map<number, Turn>();
  readonly #listener: ConversationListener;
  #voice: "silent" | "speaking" | "finished" = "silent";
  /** How far this machine's clock is ahead of the events' times, by the event that arrived fastest. */
  #aheadMs = Infinity;

  constructor(listener: ConversationListener) {
    this.#listener = listener;
  }

  /** The turn that began last. */
  get latest(): Turn | undefined {
    return [...this.turns.values()].at(-1);
  }

  /** Whether the user is speaking. */
  get isUserSpeaking(): boolean {
    return this.#voice === "speaking";
  }

  get activity(): Activity {
    const open = [...this.turns.values()].findLast(({ origin }) => origin);
    if (open && !open.end) return open.spokenSince === null ? "thinking" : "speaking";
    return this.#voice === "finished" ? "thinking" : "resting";
  }

  apply(event: ConversationEvent): void {
    const ageMs = this.#age(event.data.time);
    const turn = this.#change(event, ageMs);
    if (turn) this.#listener.onTurn?.(turn);
  }

  /** A line that broke will not report the end of an utterance that it had begun. */
  forgetVoice(): void {
    this.#voice = "silent";
    const { latest } = this;
    if (latest && !latest.question) this.#takeBack(latest.id);
  }

  /** Returns the turn that has changed. */
  #change(event: ConversationEvent, ageMs: number): Turn | null {
    switch (event.event) {
      case "speech_started": {
        // Shown in advance for the user's words, unless a reply is being spoken.
        const turn = this.activity === "resting" ? this.#turn(event.data.turnId) : null;
        this.#voice = "speaking";
        return turn;
      }
      case "speech_ended":
        this.#voice = "finished";
        return null;
      case "speech_dismissed":
        this.#voice = "silent";
        this.#takeBack(event.data.turnId);
        return null;
      case "transcript_updated": {
        const turn = this.#turn(event.data.turnId);
        turn.question = event.data.text;
        turn.isQuestionFinal = event.data.isFinal;
        return turn;
      }
      case "turn_started": {
        const { turnId, origin, transcript } = event.data;
        if (origin === "SPEECH") this.#voice = "silent";
        return Object.assign(this.#turn(turnId), {
          origin: origin ?? "TEXT",
          question: transcript ?? "",
          isQuestionFinal: true,
        });
      }
      case "sentence_started":
        return this.#addSentence(event.data.turnId, event.data);
      case "playback_started":
        return Object.assign(this.#turn(event.data.turnId), { spokenSince: performance.now() - ageMs });
      case "turn_finished": {
        const { turnId, reply, heard, interrupted, timings } = event.data;
        return this.#finish(turnId, { reply, heard, isInterrupted: interrupted, hasFailed: false, timings });
      }
      case "turn_failed": {
        const { turnId, problem, reply, heard } = event.data;
        if (this.#voice === "finished") this.#voice = "silent";
        if (problem.reason === "NO_SPEECH") this.#takeBack(turnId);
        else return this.#finish(turnId, { reply, heard, isInterrupted: heard !== reply, hasFailed: true, timings: {} });
        return null;
      }
      case "tool_called":
        // Done by the line's tools, or by another client.
        return null;
      case "reply_updated":
        // Shown sentence by sentence, as it is spoken.
        return null;
      default:
        // The compiler knows of no others; a newer gateway may.
        event satisfies never;
        return null;
    }
  }

  #turn(id: number): Turn {
    const known = this.turns.get(id);
    if (known) return known;
    const turn: Turn = {
      id,
      origin: null,
      question: "",
      isQuestionFinal: false,
      sentences: [],
      spokenSince: null,
      end: null,
    };
    this.turns.set(id, turn);
    return turn;
  }

  /** Takes back a turn that has not begun. */
  #takeBack(id: number): void {
    const turn = this.turns.get(id);
    if (!turn || turn.origin || turn.end) return;
    this.turns.delete(id);
    this.#listener.onTurnGone?.(turn, this.latest);
  }

  #addSentence(id: number, sentence: SentenceData): Turn {
    const turn = this.#turn(id);
    // A later event for the same sentence has more word times.
    const others = turn.sentences.filter((each) => each.textStart !== sentence.textStart);
    turn.sentences = [...others, sentence].sort((one, other) => one.textStart - other.textStart);
    return turn;
  }

  #finish(id: number, end: End): Turn {
    return Object.assign(this.#turn(id), { end });
  }

  /** How long ago an event happened: those that were missed arrive late. */
  #age(time: string): number {
    const aheadMs = Date.now() - Date.parse(time);
    this.#aheadMs = Math.min(this.#aheadMs, aheadMs);
    return aheadMs - this.#aheadMs;
  }
}

/** Splits a reply into what was heard and what was not. */
export function split({ reply, heard }: End): [heard: string, unheard: string] {
  return reply.startsWith(heard) ? [heard, reply.slice(heard.length)] : [heard, ""];
}
