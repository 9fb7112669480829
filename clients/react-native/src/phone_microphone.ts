// The phone's microphone, with its sound: both are a call's, unless a phone call or another app has them.

import type { SessionMicrophone, SessionMicrophoneListener } from "@parley/client/ui/portable";
import { type Frame, MicrophoneDenied, type PhoneAudio, type PhoneAudioListener } from "./platform/phone_audio";
import { Store } from "./store";

export interface SoundState {
  /** Whether another app or a phone call has the sound: nothing can be heard, and nobody is listened to. */
  readonly isInterrupted: boolean;
}

export class PhoneMicrophone implements SessionMicrophone, PhoneAudioListener {
  readonly sound = new Store<SoundState>({ isInterrupted: false });
  listener: SessionMicrophoneListener | null = null;
  readonly #audio: PhoneAudio;
  readonly #onInterrupted: () => void;
  #isEnabled = false;
  #isListening = false;
  /** From taking the sound to giving it back; what was begun in one is of no use after it. */
  #stay: symbol | null = null;
  #opening: Promise<void> | null = null;

  constructor(audio: PhoneAudio, onInterrupted: () => void) {
    this.#audio = audio;
    this.#onInterrupted = onInterrupted;
  }

  /** What the user is asked, if anything. */
  get opening(): Promise<void> | null {
    return this.#opening;
  }

  set isEnabled(value: boolean) {
    this.#isEnabled = value;
    // Closed while it was muted.
    if (value && !this.#isListening) this.open().catch((error: unknown) => this.#lose(error));
  }

  /** Takes the phone's sound, unless the call has it. */
  async enter(): Promise<void> {
    if (!this.#stay) await this.#take();
  }

  /**
   * Takes the phone's sound again, of which the system has changed the routes meanwhile; the microphone is
   * gone where that fails.
   */
  async retake(): Promise<void> {
    try {
      await this.#take();
    } catch (error) {
      this.#lose(error);
    }
  }

  /** Asks the user, where the system does. Nothing is heard while another app has the sound. */
  async open(): Promise<void> {
    this.#opening ??= this.#open();
    try {
      await this.#opening;
    } finally {
      this.#opening = null;
    }
  }

  /** Closes the microphone, and keeps the sound. */
  rest(): void {
    this.#isListening = false;
    this.#audio.closeMicrophone();
  }

  async close(): Promise<void> {
    this.#stay = null;
    this.#isListening = false;
    this.#audio.leave();
    this.sound.change({ isInterrupted: false });
  }

  onFrame(frame: Frame): void {
    if (this.#isEnabled) this.listener?.onAudio(frame);
  }

  onInterruption(isInterrupted: boolean): void {
    if (!this.#stay) return;
    if (!isInterrupted) return void this.retake();
    this.rest();
    this.sound.change({ isInterrupted: true });
    this.#onInterrupted();
  }

  onMicrophoneGone(): void {
    this.#lose();
  }

  #lose(error?: unknown): void {
    this.#isListening = false;
    this.listener?.onGone(error);
  }

  async #take(): Promise<void> {
    const stay = (this.#stay = Symbol());
    const isInterrupted = !(await this.#audio.enter().catch(refuse));
    if (this.#stay !== stay) return;
    this.sound.change({ isInterrupted });
    if (this.#isEnabled) await this.open();
  }

  async #open(): Promise<void> {
    await this.enter();
    const stay = this.#stay;
    if (this.sound.value.isInterrupted) return;
    await this.#audio.openMicrophone().catch(refuse);
    if (this.#stay === stay) this.#isListening = true;
    else this.#audio.closeMicrophone();
  }
}

/** Throws an error by the names that browsers use, which a session knows. */
function refuse(error: unknown): never {
  const name = error instanceof MicrophoneDenied ? "NotAllowedError" : "NotReadableError";
  throw Object.assign(new Error(String(error)), { name });
}
