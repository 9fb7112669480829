// The engine's stream: the package's own player, over the connections that `registerGlobals` provides.

import type { Player } from "@parley/client";
import { WhepPlayer } from "@parley/client/players/whep";
import type { MediaStream } from "react-native-webrtc";
import type { Screen } from "./screen";

export function createWhepPlayer(screen: Screen): Player {
  const video = {
    set srcObject(stream: MediaStream | null) {
      screen.show(stream && { kind: "stream", url: stream.toURL() });
    },
  };
  // Phones play the sound of a connection without being told to.
  return new WhepPlayer({ video, sound: { srcObject: null } });
}
