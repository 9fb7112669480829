// The phone's sound during a call: focus among the apps, loudspeaker or headset, and the microphone.

/** 20 ms of sound: 16 bit, mono, 16 kHz. */
export type Frame = Int16Array<ArrayBuffer>;

export interface PhoneAudioListener {
  onFrame(frame: Frame): void;
  /** Another app or a phone call has taken the sound, or given it back. */
  onInterruption(isInterrupted: boolean): void;
  /** The microphone has failed, and is closed. */
  onMicrophoneGone(): void;
}

export interface PhoneAudio {
  /** Takes the sound for a call, and keeps the screen on; resolves to false while a phone call keeps the sound to itself. */
  enter(): Promise<boolean>;
  /** Gives it back, the microphone included. */
  leave(): void;
  /** Asks the user, where the system does; rejects with MicrophoneDenied, or when there is none. */
  openMicrophone(): Promise<void>;
  closeMicrophone(): void;
  /** Returns what ends the listening. */
  listen(listener: PhoneAudioListener): () => void;
}

/** The user, or a rule of the phone, does not let the app listen. */
export class MicrophoneDenied extends Error {
  override readonly name = "MicrophoneDenied";
}
