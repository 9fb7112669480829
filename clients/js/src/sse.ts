// Reads an answer that is an event stream. `EventSource` cannot show a credential.

import { within } from "./pause.js";

/** The gateway sends something more often than this. */
const SILENCE_MS = 45_000;

export interface ServerEvent {
  readonly event: string;
  readonly data: unknown;
}

/** Whether this platform's fetch hands out answers while they arrive; React Native's does not. */
export function canStream(): boolean {
  return "body" in Response.prototype;
}

/** Yields the events of an answer; stopping early closes the connection. Throws when it falls silent. */
export async function* readEvents(response: Response): AsyncGenerator<ServerEvent> {
  if (!response.body) return;
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let pending = "";
  try {
    for (;;) {
      const { done, value } = await within(SILENCE_MS, reader.read());
      if (done) return;
      const blocks = (pending + decoder.decode(value, { stream: true })).split("\n\n");
      pending = blocks.pop() ?? "";
      for (const block of blocks) {
        const event = parse(block);
        if (event) yield event;
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

function parse(block: string): ServerEvent | null {
  const fields = new Map<string, string>();
  for (const line of block.split("\n")) {
    const colon = line.indexOf(": ");
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 2));
  }
  const event = fields.get("event");
  const data = fields.get("data");
  if (!event || !data) return null;
  return { event, data: JSON.parse(data) };
}
