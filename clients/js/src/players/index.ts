// Players for browsers: the engine's stream by WHEP, its face drawn in the page, the vendor's cloud.

import type { Player, Watching } from "../player.js";
import type { Screen } from "./screen.js";

export { Loudness } from "./loudness.js";
export type { Screen } from "./screen.js";

/** What the engine sends: a video, or poses that the page draws; the viewer's choice. */
export type Output = "video" | "blendshape";

export interface PlayerOptions {
  readonly screen: Screen;
  /** Default: `video`. */
  readonly output?: Output;
}

/**
 * Returns the player for a deployment's way to watch. The vendor's cloud needs the package
 * `zego-express-engine-webrtc`, which is loaded only then.
 */
export async function createPlayer(watching: Watching, { screen, output }: PlayerOptions): Promise<Player> {
  if (watching.token.playback.protocol === "ZEGO_EXPRESS") {
    const { ZegoPlayer } = await import("./zego.js");
    return new ZegoPlayer(screen, watching);
  }
  if (output === "blendshape") {
    const { BlendshapePlayer } = await import("./blendshape.js");
    return new BlendshapePlayer(screen);
  }
  const { WhepPlayer } = await import("./whep.js");
  return new WhepPlayer(screen);
}
