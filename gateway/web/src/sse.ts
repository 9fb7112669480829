// Reads an answer that is an event stream. `EventSource` cannot show a key, nor POST.

export interface ServerEvent {
  name: string;
  data: unknown;
  id: string | null;
}

/** Yields the events of an answer; stopping early lets go of the connection. */
export async function* readEvents(response: Response): AsyncGenerator<ServerEvent> {
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (pending + value).split("\n\n");
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
  const name = fields.get("event");
  const data = fields.get("data");
  if (!name || !data) return null;
  return { name, data: JSON.parse(data), id: fields.get("id") ?? null };
}
