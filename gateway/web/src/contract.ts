// What the gateway answers, as docs/http-api.md tells it.

export interface Persona {
  personaId: string;
  displayName?: string;
  description?: string;
  /** By language. */
  displayNames: Record<string, string>;
  descriptions: Record<string, string>;
  /** Whose face it has by choice. */
  digitalHumanId?: string;
  languages: string[];
  greetings: Record<string, string>;
  sampleQuestions: Record<string, string>;
}

export interface DigitalHuman {
  digitalHumanId: string;
  displayName?: string;
  avatarUrl?: string;
  actions: string[];
}

export interface Config {
  version: string;
  needsKey: boolean;
  defaultPersonaId: string;
  personas: Persona[];
  digitalHumans: DigitalHuman[];
  languages: string[];
  maxUploadBytes: number;
  maxAudioSeconds: number;
}

export type TaskState = "CREATING" | "STARTING" | "STREAMING" | "STOPPING" | "STOPPED" | "FAILED";

export interface Task {
  taskId: string;
  state: TaskState;
  lang: string;
  stopReason?: string;
}

/** What a viewer needs: a token, and where to watch. */
export interface Ticket {
  token: string;
  /** How long the token lasts from now on, by the server's clock. */
  lifetimeMs: number;
  /** How far the viewer's clock is ahead of the server's. */
  clockAheadMs: number;
  appId: number;
  playback: { protocol: "WHEP" | "ZEGO_EXPRESS"; url: string };
}

/** When the stages of a turn were reached, in milliseconds after the last sound of the question. */
export interface Timings {
  endpointMs?: number;
  transcriptMs?: number;
  firstTokenMs?: number;
  firstSentenceMs?: number;
  firstAudioMs?: number;
  driveReadyMs?: number;
  firstPcmSentMs?: number;
  playbackStartedMs?: number;
  lastTokenMs?: number;
}

export interface ProblemBody {
  status: number;
  reason: string;
  detail: string;
}

/** When a word is heard; `start` and `end` count code points of its sentence. */
export interface WordTime {
  start: number;
  end: number;
  startMs: number;
  endMs: number;
}

export interface Sentence {
  text: string;
  textStart: number;
  textEnd: number;
  audioOffsetMs: number;
  words: WordTime[];
}

/** Where a turn comes from: PROMPT after a long silence, RESUMED when a reply was cut off for nothing. */
export type Origin = "SPEECH" | "TEXT" | "SAY" | "PROMPT" | "RESUMED";

interface OfTurn {
  turnId: number;
  time: string;
}

/** The events of a conversation that the page knows; it ignores all others. */
export type TalkEvent =
  | { name: "speech_started" | "speech_ended" | "speech_dismissed"; data: OfTurn }
  | { name: "transcript_updated"; data: OfTurn & { text: string; isFinal: boolean } }
  | { name: "turn_started"; data: OfTurn & { origin: Origin; transcript?: string; requestId?: string } }
  | { name: "sentence_started"; data: OfTurn & Sentence }
  | { name: "playback_started"; data: OfTurn }
  | { name: "turn_finished"; data: OfTurn & { reply: string; heard: string; interrupted: boolean; timings: Timings } }
  | { name: "turn_failed"; data: OfTurn & { problem: ProblemBody; reply: string; heard: string } };

/** The line is open; `lastSequence` is that of the last event before. */
export interface Ready {
  lastSequence: number;
}

/** What comes down the line: `ready` once, then events and what happens to the line itself, and a problem before it is closed for one. */
export type LineMessage =
  | { problem: ProblemBody }
  | { event: "ready"; data: Ready }
  | { event: "conversation_suspended" }
  | { event: "conversation_resumed" }
  | { event: TalkEvent["name"]; sequence: number; data: TalkEvent["data"] };
