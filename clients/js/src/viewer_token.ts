// What a viewer needs in order to watch.

import type { TokenAnswer } from "./contract.js";

/** Who watches what. */
export interface Viewer {
  /** A name in the room, of 1 to 64 bytes; no two viewers may have the same. */
  readonly userId: string;
  readonly roomId: string;
  readonly streamId: string;
}

/** A token and where to watch, with the token's life by the server's clock. */
export interface ViewerToken extends Pick<TokenAnswer, "token" | "appId"> {
  readonly playback: Required<TokenAnswer["playback"]>;
  /** How long the token lasts from now on, by the server's clock. */
  readonly lifetimeMs: number;
  /** How far the viewer's clock is ahead of the server's. */
  readonly clockAheadMs: number;
}
