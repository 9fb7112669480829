// The phone's sound by the app's native module.

import { toByteArray } from "base64-js";
import { PermissionsAndroid, Platform } from "react-native";
import native from "./NativePhoneAudio";
import { type Frame, MicrophoneDenied, type PhoneAudio } from "./phone_audio";

export const nativeAudio: PhoneAudio = {
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
