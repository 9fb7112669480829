// The interface between a call and the ways to watch it. `@parley/client/players` has those of browsers.

import type { Viewer, ViewerToken } from "./viewer_token.js";

export interface Player {
  /** Starts to play; throws when there is nothing to play. The caller limits the time. */
  play(token: ViewerToken): Promise<void>;
  /** Resolves when the stream breaks off. */
  readonly lost: Promise<void>;
  /** Leaves, also while `play` is under way, which then rejects; safe at any time. */
  stop(): void;
}

/** What is to be watched, and how its token is renewed. */
export interface Watching {
  readonly viewer: Viewer;
  readonly token: ViewerToken;
  renew(): Promise<ViewerToken>;
  /** The viewer's clock is so wrong that tokens seem to expire at once. */
  onWrongClock(): void;
}

/** Returns the player for a deployment's way to watch, which is `token.playback.protocol`. */
export type CreatePlayer = (watching: Watching) => Promise<Player>;
