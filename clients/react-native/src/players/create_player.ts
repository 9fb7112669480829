// The players of phones.

import type { Player, Watching } from "@parley/client";
import { createWhepPlayer } from "./whep";
import type { Screen } from "./screen";
import { ZegoPlayer } from "./zego";

/** Returns the player for a deployment's way to watch. */
export async function createPlayer(watching: Watching, screen: Screen): Promise<Player> {
  if (watching.token.playback.protocol === "ZEGO_EXPRESS") return new ZegoPlayer(watching, screen);
  return createWhepPlayer(screen);
}
