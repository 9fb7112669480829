// What a line tells its listener, for tests to wait for.

import type { ConversationEvent, LineListener, Link, Problem } from "@parley/client";
import { Queue } from "./queue.js";

export class Heard implements LineListener {
  readonly events = new Queue<ConversationEvent>();
  readonly links = new Queue<Link>();
  readonly refusals = new Queue<Problem>();
  readonly toolErrors = new Queue<unknown>();

  onEvent(event: ConversationEvent): void {
    this.events.push(event);
  }

  onLine(link: Link): void {
    this.links.push(link);
  }

  onRefusal(problem: Problem): void {
    this.refusals.push(problem);
  }

  onToolError(error: unknown): void {
    this.toolErrors.push(error);
  }
}
