// Functions of the app that the model calls.

import type { ClientTool, ConversationEvent, ToolCalledData } from "./contract.js";

/**
 * Does what the model asks for. What it returns is told to the model, as text or as JSON of up to
 * 20,000 characters; nothing is "done". A ToolFailure tells why it could not be done.
 */
export type Tool = (parameters: Record<string, unknown>, call: ToolCalledData) => unknown;

/** By the names that the persona, or `clientTools`, has them under; calls of others are left to other clients. */
export type Tools = Readonly<Record<string, Tool>>;

/** A function that an app declares for its calls: what the model is told of it, and what does it. */
export interface AppTool extends ClientTool {
  readonly handler: Tool;
}

/** What the gateway is told of an app's functions. */
export function declarationsOf(appTools: readonly AppTool[]): ClientTool[] {
  return appTools.map(({ handler: _, ...declaration }) => declaration);
}

/** What does them, by name. */
export function handlersOf(appTools: readonly AppTool[]): Tools {
  return Object.fromEntries(appTools.map(({ name, handler }) => [name, handler]));
}

/** Its message is told to the model; of any other error the model learns nothing but that there was one. */
export class ToolFailure extends Error {
  override readonly name = "ToolFailure";
}

export interface ToolOutcome {
  readonly callId: string;
  readonly result?: string;
  readonly failed?: true;
}

export interface ToolCallsListener {
  onOutcome(outcome: ToolOutcome): void;
  onToolError(error: unknown, call: ToolCalledData): void;
}

const MOST_CHARACTERS = 20_000;

/** The calls of a line, each made once. */
export class ToolCalls {
  readonly #tools: Tools;
  readonly #listener: ToolCallsListener;
  readonly #waiting = new Map<string, ToolCalledData>();

  constructor(tools: Tools, listener: ToolCallsListener) {
    this.#tools = tools;
    this.#listener = listener;
  }

  /** Takes an event of the past or the present: a call, or what became of calls. */
  note(event: ConversationEvent): void {
    if (event.event === "tool_called" && Object.hasOwn(this.#tools, event.data.name)) {
      this.#waiting.set(event.data.callId, event.data);
    }
    for (const { callId } of settledBy(event)) this.#waiting.delete(callId);
  }

  /** Makes the calls that wait; to be called once the past is known, which may have settled some. */
  run(): void {
    const calls = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const call of calls) void this.#make(call);
  }

  async #make(call: ToolCalledData): Promise<void> {
    const { callId } = call;
    try {
      const parameters = JSON.parse(call.arguments || "{}") as Record<string, unknown>;
      const result = textOf(await this.#tools[call.name]?.(parameters, call));
      this.#listener.onOutcome({ callId, result });
    } catch (error) {
      const isMeant = error instanceof ToolFailure;
      this.#listener.onOutcome({ callId, failed: true, ...(isMeant && { result: error.message }) });
      if (!isMeant) this.#listener.onToolError(error, call);
    }
  }
}

/** Whether a turn's end says what became of a call. */
export function settles(event: ConversationEvent, callId: string): boolean {
  return settledBy(event).some((call) => call.callId === callId);
}

function settledBy(event: ConversationEvent): readonly { callId: string }[] {
  const isEnd = event.event === "turn_finished" || event.event === "turn_failed";
  return isEnd ? event.data.toolCalls.filter(({ outcome }) => outcome) : [];
}

function textOf(result: unknown): string {
  const text = typeof result === "string" ? result : (JSON.stringify(result) ?? "done");
  if (text.length > MOST_CHARACTERS) throw new ToolFailure(`The result has more than ${MOST_CHARACTERS} characters.`);
  return text;
}
