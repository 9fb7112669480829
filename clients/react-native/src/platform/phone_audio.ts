// The phone's sound during a call: focus among the apps, loudspeaker or headset, and the microphone.

import { PermissionsAndroid, Platform } from "react-native";
import { toByteArray } from "base64-js";
import native from "./NativePhoneAudio";

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

export const phoneAudio: PhoneAudio = {
  enter: () => native.enter(),
  leave: () => native.leave(),
  openMicrophone: async () => {
    if (Platform.OS === "android" && !(await isAllowedByAndroid())) throw new MicrophoneDenied();
    try {
      await native.openMicrophone();
    } catch (error) {
      throw isDenied(error) ? new MicrophoneDenied() : error;
    }
  },
  closeMicrophone: () => native.closeMicrophone(),
  listen: (listener) => {
    const subscriptions = [
      native.onFrame((base64) => listener.onFrame(toFrame(base64))),
      native.onInterruption((isInterrupted) => listener.onInterruption(isInterrupted)),
      native.onMicrophoneGone(() => listener.onMicrophoneGone()),
    ];
    return () => subscriptions.forEach((subscription) => subscription.remove());
  },
};

async function isAllowedByAndroid(): Promise<boolean> {
  const answer = await PermissionsAndroid.request("android.permission.RECORD_AUDIO");
  return answer === PermissionsAndroid.RESULTS.GRANTED;
}

function isDenied(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "MICROPHONE_DENIED";
}

/** Phones are little-endian, as the gateway's samples are. */
function toFrame(base64: string): Frame {
  const bytes = toByteArray(base64);
  return new Int16Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength / 2);
}
