// A phone that does what a test says: its sound, its network, its screen, and players that play at once.

import type { CreatePlayer, Player } from "@parley/client";
import type { Phone } from "../src/platform/phone";
import type { Frame, PhoneAudio, PhoneAudioListener } from "../src/platform/phone_audio";
import { MicrophoneDenied } from "../src/platform/phone_audio";
import { Queue } from "./queue";

class FakeAudio implements PhoneAudio {
  /** Whether the user lets the app listen. */
  isAllowed = true;
  /** Whether a phone call keeps the sound to itself. */
  isTaken = false;
  isEntered = false;
  isListening = false;
  #listener: PhoneAudioListener | null = null;

  async enter(): Promise<boolean> {
    this.isEntered = true;
    return !this.isTaken;
  }

  leave(): void {
    this.isEntered = this.isListening = false;
  }

  async openMicrophone(): Promise<void> {
    if (!this.isAllowed) throw new MicrophoneDenied();
    this.isListening = true;
  }

  closeMicrophone(): void {
    this.isListening = false;
  }

  listen(listener: PhoneAudioListener): () => void {
    this.#listener = listener;
    return () => (this.#listener = null);
  }

  /** The user says something: 20 ms of it, if the microphone is open. */
  hear(loudness: number): void {
    const frame: Frame = new Int16Array(320).fill(loudness);
    if (this.isListening) this.#listener?.onFrame(frame);
  }

  /** A phone call begins, or ends. */
  interrupt(isInterrupted: boolean): void {
    this.isTaken = isInterrupted;
    this.#listener?.onInterruption(isInterrupted);
  }

  fail(): void {
    this.isListening = false;
    this.#listener?.onMicrophoneGone();
  }
}

class FakePlayer implements Player {
  readonly #loss = Promise.withResolvers<void>();
  readonly lost = this.#loss.promise;
  readonly #onPlay: () => void;
  isStopped = false;

  constructor(onPlay: () => void) {
    this.#onPlay = onPlay;
  }

  async play(): Promise<void> {
    this.#onPlay();
  }

  stop(): void {
    this.isStopped = true;
  }

  /** The stream breaks off. */
  lose(): void {
    this.#loss.resolve();
  }
}

export class FakePhone implements Phone {
  readonly audio = new FakeAudio();
  readonly played = new Queue<FakePlayer>();
  readonly #network = new Set<() => void>();
  readonly #front = new Set<(isInFront: boolean) => void>();

  onNetwork(listener: () => void): () => void {
    this.#network.add(listener);
    return () => this.#network.delete(listener);
  }

  onFront(listener: (isInFront: boolean) => void): () => void {
    this.#front.add(listener);
    return () => this.#front.delete(listener);
  }

  players: Phone["players"] = (screen): CreatePlayer => async () => {
    const player = new FakePlayer(() => screen.show({ kind: "stream", url: "stream of the engine" }));
    this.played.put(player);
    return player;
  };

  changeNetwork(): void {
    for (const listener of this.#network) listener();
  }

  /** The user goes to another app, or comes back. */
  bringToFront(isInFront: boolean): void {
    for (const listener of this.#front) listener(isInFront);
  }
}
