// The user's voice in a session: the microphone, how it is used, and the button that is held.

import type { MicrophoneState, TalkMode } from "./state.js";

export interface SessionMicrophone {
  /** Throws a DOMException when there is none or it is not allowed. */
  open(): Promise<void>;
  close(): Promise<void>;
  isEnabled: boolean;
}

export interface SessionMicrophoneListener {
  onAudio(pcm: Int16Array<ArrayBuffer>): void;
  onLevel(level: number): void;
  /** `error` says why, where that is known; by default it was unplugged. */
  onGone(error?: unknown): void;
}

export type NewMicrophone = (listener: SessionMicrophoneListener) => SessionMicrophone;

export interface VoiceState {
  readonly microphone: MicrophoneState;
  readonly talkMode: TalkMode;
  readonly isHolding: boolean;
}

export interface VoiceListener extends Omit<SessionMicrophoneListener, "onAudio"> {
  /** Of what is to be heard: with `hold`, only what is said while holding. */
  onAudio(pcm: Int16Array<ArrayBuffer>): void;
  onVoice(state: VoiceState): void;
}

export class Voice {
  readonly #newMicrophone: NewMicrophone;
  readonly #listener: VoiceListener;
  /** Made when the first call starts. */
  #microphone: SessionMicrophone | null = null;
  #limit: ReturnType<typeof setTimeout> | undefined;
  #state: VoiceState;

  constructor(newMicrophone: NewMicrophone, talkMode: TalkMode, listener: VoiceListener) {
    this.#newMicrophone = newMicrophone;
    this.#listener = listener;
    this.#state = { microphone: "off", talkMode, isHolding: false };
  }

  get state(): VoiceState {
    return this.#state;
  }

  /** Throws when there is no microphone or it is not allowed. */
  async open(): Promise<void> {
    this.#microphone ??= this.#newMicrophone({
      onAudio: (pcm) => {
        if (this.#isWanted) this.#listener.onAudio(pcm);
      },
      onLevel: (level) => this.#listener.onLevel(level),
      onGone: (error) => {
        this.change({ microphone: "off" });
        this.#listener.onGone(error);
      },
    });
    await this.#microphone.open();
  }

  close(): void {
    this.stopHolding();
    void this.#microphone?.close();
    this.change({ microphone: "off" });
  }

  change(changes: Partial<VoiceState>): void {
    this.#state = { ...this.#state, ...changes };
    if (this.#microphone) this.#microphone.isEnabled = this.#state.microphone === "on" && this.#isWanted;
    this.#listener.onVoice(this.#state);
  }

  /** The button is held; `onLimit` is called when the question may last no longer. */
  hold(seconds: number, onLimit: () => void): void {
    this.#limit = setTimeout(onLimit, seconds * 1000);
    this.change({ isHolding: true });
  }

  /** Returns whether the button was held. */
  stopHolding(): boolean {
    if (!this.#state.isHolding) return false;
    clearTimeout(this.#limit);
    this.change({ isHolding: false });
    return true;
  }

  get #isWanted(): boolean {
    return this.#state.talkMode === "open" || this.#state.isHolding;
  }
}
