// The phone, as the app sees it: its sound, its network, whether the app is in front, and its players.

import type { CreatePlayer } from "@parley/client";
import type { Screen } from "../players/screen";
import type { PhoneAudio } from "./phone_audio";

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
