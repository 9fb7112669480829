// What a viewer needs in order to watch.

import type { TokenAnswer } from "../contract";

/** A token and where to watch, with the token's life by the server's clock. */
export interface Ticket extends Pick<TokenAnswer, "token" | "appId"> {
  readonly playback: Required<TokenAnswer["playback"]>;
  /** How long the token lasts from now on, by the server's clock. */
  readonly lifetimeMs: number;
  /** How far the viewer's clock is ahead of the server's. */
  readonly clockAheadMs: number;
}
