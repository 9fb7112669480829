// The gateway's contract as this page uses it. All of it is generated from the gateway's OpenAPI
// document: `make web` writes contract.gen.ts.

import type { components } from "./contract.gen";

type Schemas = components["schemas"];

export type Config = Schemas["ConfigAnswer"];
export type DigitalHuman = Schemas["DigitalHuman"];
export type LineMessage = Schemas["LineMessage"];
export type Persona = Schemas["Persona"];
/** What the page reads of a problem. */
export type ProblemBody = Pick<Schemas["Problem"], "status" | "reason" | "detail">;
export type ReadyData = Schemas["ReadyData"];
export type SentenceData = Schemas["SentenceStartedData"];
export type Task = Schemas["Task"];
export type TaskEvent = Schemas["TaskEvent"];
export type Timings = Schemas["Timings"];
export type TokenAnswer = Schemas["TokenAnswer"];

/** What is said, recognised and played: the events that have a place in the conversation. */
export type ConversationEvent = Extract<LineMessage, { sequence: number }>;
export type Origin = NonNullable<Schemas["TurnStartedData"]["origin"]>;
