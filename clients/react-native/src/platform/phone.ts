// The phone, as the app sees it: its sound, its network, whether the app is in front, and its players.

import NetInfo, { type NetInfoState } from "@react-native-community/netinfo";
import type { CreatePlayer } from "@parley/client";
import { AppState } from "react-native";
import { createPlayer } from "../players/create_player";
import type { Screen } from "../players/screen";
import { type PhoneAudio, phoneAudio } from "./phone_audio";

type Unsubscribe = () => void;

export interface Phone {
  readonly audio: PhoneAudio;
  /** Calls back when there is a network again, or another one: sockets over the last one are dead. */
  onNetwork(listener: () => void): Unsubscribe;
  /** Calls back when the app leaves the front, be it for another app or because the screen goes off, and returns. */
  onFront(listener: (isInFront: boolean) => void): Unsubscribe;
  /** Returns what makes players that show their picture on a screen. */
  players(screen: Screen): CreatePlayer;
}

export const thisPhone: Phone = {
  audio: phoneAudio,
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
