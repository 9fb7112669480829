// The gateway's contract under short names. All of it is generated from the gateway's OpenAPI
// document: `make web` writes contract.gen.ts.

import type { components } from "./contract.gen.js";

type Schemas = components["schemas"];
/** `success` says nothing that the status does not. */
type Answer<T> = Omit<T, "success" | "message">;
/** In a request, null counts as absent. */
type Body<T> = { [Name in keyof T as null extends T[Name] ? never : Name]: Given<T[Name]> } & {
  [Name in keyof T as null extends T[Name] ? Name : never]?: Given<Exclude<T[Name], null>> | undefined;
};
type Given<T> = T extends object[] ? Body<T[number]>[] : T;

export type ClientTool = Body<Schemas["ClientTool"]>;
export type Config = Schemas["ConfigAnswer"];
export type CreateTask = Body<Schemas["CreateTaskBody"]>;
export type DigitalHuman = Schemas["DigitalHuman"];
export type Facts = Body<Schemas["UpdateTaskBody"]>;
export type Ledger = Answer<Schemas["LedgerAnswer"]>;
export type LineMessage = Schemas["LineMessage"];
export type Persona = Schemas["Persona"];
/** What is always known of a problem, and what the gateway adds. */
export type ProblemBody = Pick<Schemas["Problem"], "status" | "reason" | "detail"> & Partial<Schemas["Problem"]>;
export type ReadyData = Schemas["ReadyData"];
export type Say = Body<Schemas["SayBody"]>;
export type SentenceData = Schemas["SentenceStartedData"];
export type Task = Schemas["Task"];
export type TaskEvent = Schemas["TaskEvent"];
export type TaskList = Answer<Schemas["TaskList"]>;
export type TicketRequest = Body<Schemas["TicketBody"]>;
export type Ticket = Answer<Schemas["TicketAnswer"]>;
export type Timings = Schemas["Timings"];
export type TokenAnswer = Schemas["TokenAnswer"];
export type ToolCalledData = Schemas["ToolCalledData"];
export type ToolResult = Body<Schemas["ToolResultBody"]>;
export type TurnResult = Answer<Schemas["TurnAnswer"]>;
export type TurnEvent = Schemas["TurnEvent"];
export type TurnsOfTask = Answer<Schemas["Conversation"]>;
export type Voice = Schemas["Voices"]["voices"][number];
export type WrittenQuestion = Body<Schemas["TalkBody"]>;

/** What is said, recognised and played: the events that have a place in the conversation. */
export type ConversationEvent = Extract<LineMessage, { sequence: number }>;
export type Origin = NonNullable<Schemas["TurnStartedData"]["origin"]>;
