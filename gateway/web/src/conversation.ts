// What is said during a call, put together from the gateway's events.
//
// Every event states a fact and adds nothing up, so that it may arrive twice: by the answer to a
// question, and by the task's own stream, which also tells what others ask and what was missed.

import type { GatewayEvent, Sentence, Timings } from "./contract";

export interface Turn {
  readonly id: number;
  question: string;
  isQuestionFinal: boolean;
  /** By their first character in the reply, in order. */
  sentences: Sentence[];
  /** When the digital human began to speak, on the page's clock. */
  spokenSince: number | null;
  /** How it ended, null while it goes on. */
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

/** The turns of a call. */
export class Conversation {
  readonly turns = new Map<number, Turn>();
  readonly #onChange: (turn: Turn) => void;

  constructor(onChange: (turn: Turn) => void) {
    this.#onChange = onChange;
  }

  /** The turn that was begun last. */
  get latest(): Turn | undefined {
    return [...this.turns.values()].at(-1);
  }

  get activity(): Activity {
    const open = this.latest;
    if (!open || open.end) return "resting";
    return open.spokenSince === null ? "thinking" : "speaking";
  }

  /** Returns whether the event says something new. */
  apply(event: GatewayEvent): boolean {
    const turn = this.#change(event);
    if (turn) this.#onChange(turn);
    return turn !== null;
  }

  /** Returns the turn that is not as it was. */
  #change(event: GatewayEvent): Turn | null {
    switch (event.name) {
      case "transcript_updated":
        return this.#ask(event.data.turnId, event.data.text, event.data.isFinal);
      case "turn_started":
        return this.#ask(event.data.turnId, event.data.transcript, true);
      case "sentence_started":
        return this.#addSentence(event.data.turnId, event.data);
      case "playback_started": {
        const turn = this.#turn(event.data.turnId);
        if (turn.spokenSince !== null) return null;
        turn.spokenSince = performance.now();
        return turn;
      }
      case "turn_finished": {
        const { turnId, reply, heard, interrupted, timings } = event.data;
        return this.#finish(turnId, { reply, heard, isInterrupted: interrupted, hasFailed: false, timings });
      }
      case "turn_failed": {
        const { turnId, reply, heard } = event.data;
        return this.#finish(turnId, { reply, heard, isInterrupted: heard !== reply, hasFailed: true, timings: {} });
      }
      default:
        return null;
    }
  }

  #turn(id: number): Turn {
    const known = this.turns.get(id);
    if (known) return known;
    const turn = { id, question: "", isQuestionFinal: false, sentences: [], spokenSince: null, end: null };
    this.turns.set(id, turn);
    return turn;
  }

  #ask(id: number, question: string, isFinal: boolean): Turn {
    const turn = this.#turn(id);
    if (isFinal || !turn.isQuestionFinal) turn.question = question;
    turn.isQuestionFinal ||= isFinal;
    return turn;
  }

  #addSentence(id: number, sentence: Sentence): Turn {
    const turn = this.#turn(id);
    // A later event about the same sentence knows more of its words.
    const others = turn.sentences.filter((each) => each.textStart !== sentence.textStart);
    turn.sentences = [...others, sentence].sort((one, other) => one.textStart - other.textStart);
    return turn;
  }

  #finish(id: number, end: End): Turn | null {
    const turn = this.#turn(id);
    if (turn.end) return null;
    turn.end = end;
    return turn;
  }
}

/** What of a reply was heard, and what was not. */
export function split({ reply, heard }: End): [heard: string, unheard: string] {
  return reply.startsWith(heard) ? [heard, reply.slice(heard.length)] : [heard, ""];
}
