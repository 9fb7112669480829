// The phone that the app runs on.

import NetInfo, { type NetInfoState } from "@react-native-community/netinfo";
import { AppState } from "react-native";
import { createPlayer } from "../players/create_player";
import { nativeAudio } from "./native_audio";
import type { Phone } from "./phone";

// Otherwise it asks a server of others, every minute, whether the internet is there.
NetInfo.configure({ reachabilityShouldRun: () => false });

export const thisPhone: Phone = {
  audio: nativeAudio,
  onNetwork: (listener) => {
    let last: string | null = null;
    return NetInfo.addEventListener((state) => {
      const network = networkOf(state);
      if (network && last !== null && network !== last) listener();
      last = network;
    });
  },
  onFront: (listener) => {
    // `inactive` is a moment: a call that rings, the control centre.
    const subscription = AppState.addEventListener("change", (state) => {
      if (state !== "inactive") listener(state === "active");
    });
    return () => subscription.remove();
  },
  players: (screen) => (watching) => createPlayer(watching, screen),
};

/** Names the network that the phone uses, "" for none. */
function networkOf({ isConnected, type, details }: NetInfoState): string {
  if (!isConnected) return "";
  const address = details && "ipAddress" in details ? details.ipAddress : "";
  return `${type} ${address}`;
}
