// The user's voice: the microphone, how it is used, and what becomes of it while another app has the phone's sound.

import type { Line, TurnDetection } from "@parley/client";
import { type Frame, MicrophoneDenied, type PhoneAudio, type PhoneAudioListener } from "./platform/phone_audio";
import { Store } from "./store";

/** How the user talks: into an open microphone, or while holding a button. */
export type TalkMode = "hands-free" | "hold";
/** `denied`: the user does not allow it. `missing`: there is none, or it has failed. */
export type MicrophoneState = "off" | "on" | "muted" | "denied" | "missing";

export interface TalkState {
  readonly mode: TalkMode;
  readonly microphone: MicrophoneState;
  readonly isHolding: boolean;
  /** Whether another app or a phone call has the sound: nothing can be heard, and nobody is listened to. */
  readonly isInterrupted: boolean;
}

const QUIET = { microphone: "off", isHolding: false, isInterrupted: false } as const;

export class Talk implements PhoneAudioListener {
  readonly state = new Store<TalkState>({ mode: "hands-free", ...QUIET });
  /** Who hears the user, if anybody does. */
  line: Line | null = null;
  /** How long a question may be. */
  maxSeconds = 60;
  readonly #audio: PhoneAudio;
  /** From `enter` to `pause`; what was begun in one is of no use after it. */
  #stay: symbol | null = null;
  #limit: ReturnType<typeof setTimeout> | undefined;

  constructor(audio: PhoneAudio) {
    this.#audio = audio;
  }

  get #isOpen(): boolean {
    return this.state.value.microphone === "on";
  }

  get detection(): TurnDetection {
    return this.state.value.mode === "hold" ? "MANUAL" : "SERVER";
  }

  /** Takes the phone's sound and opens the microphone, unless the user has muted it or does not allow it. */
  async enter(): Promise<void> {
    const stay = (this.#stay = Symbol());
    const isInterrupted = !(await this.#audio.enter());
    if (this.#stay !== stay) return;
    this.state.change({ isInterrupted });
    const { microphone } = this.state.value;
    if (!isInterrupted && microphone !== "muted" && microphone !== "denied") await this.#open();
  }

  /** Gives both back; what the user has chosen stays. */
  pause(): void {
    this.#stopHolding();
    this.#stay = this.line = null;
    this.#audio.leave();
  }

  /** Gives both back at the end of a call. */
  leave(): void {
    this.pause();
    this.state.change(QUIET);
  }

  /** Mutes the microphone, or opens it. */
  async toggle(): Promise<void> {
    if (!this.#isOpen) return this.#open();
    this.#audio.closeMicrophone();
    this.state.change({ microphone: "muted" });
  }

  changeMode(mode: TalkMode): void {
    this.#stopHolding();
    this.state.change({ mode });
    this.line?.reopen(this.detection);
  }

  /** The button goes down; what is said from now on is sent. */
  async hold(): Promise<void> {
    this.state.change({ isHolding: true });
    this.#limit = setTimeout(() => this.send(), (this.maxSeconds - 1) * 1000);
    if (this.#isOpen) return;
    await this.#open();
    if (!this.#isOpen) this.cancel();
  }

  /** The button goes up: what was said is the question. */
  send(): void {
    if (!this.state.value.isHolding) return;
    this.#stopHolding();
    this.line?.commit();
  }

  /** Forgets what was said. */
  cancel(): void {
    if (!this.state.value.isHolding) return;
    this.#stopHolding();
    this.line?.reopen(this.detection);
  }

  onFrame(frame: Frame): void {
    const { mode, isHolding } = this.state.value;
    if (mode === "hands-free" || isHolding) this.line?.sendAudio(frame);
  }

  onInterruption(isInterrupted: boolean): void {
    if (!this.#stay) return;
    // Given back, it has to be taken again: the system has changed its routes meanwhile.
    if (!isInterrupted) return void this.enter();
    this.#audio.closeMicrophone();
    this.cancel();
    // Nobody hears what is being said.
    this.line?.interrupt();
    this.state.change({ isInterrupted: true });
  }

  onMicrophoneGone(): void {
    this.cancel();
    this.state.change({ microphone: "missing" });
  }

  async #open(): Promise<void> {
    const stay = this.#stay;
    try {
      await this.#audio.openMicrophone();
      if (this.#stay === stay) this.state.change({ microphone: "on" });
      else this.#audio.closeMicrophone();
    } catch (error) {
      if (this.#stay === stay) this.state.change({ microphone: error instanceof MicrophoneDenied ? "denied" : "missing" });
    }
  }

  #stopHolding(): void {
    clearTimeout(this.#limit);
    this.state.change({ isHolding: false });
  }
}
