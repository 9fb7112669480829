// The contract of the app's native module; React Native generates its Kotlin and Objective-C side from
// this file. Only native_audio.ts uses it.

import { TurboModuleRegistry, type CodegenTypes, type TurboModule } from "react-native";

export interface Spec extends TurboModule {
  /**
   * Takes the phone's sound for a call: other apps fall silent, the loudspeaker or a headset is used,
   * and the screen stays on. Resolves to false while a phone call keeps the sound to itself.
   */
  enter(): Promise<boolean>;
  /** Gives all of that back, the microphone included. */
  leave(): void;
  /** Rejects when there is no microphone, another app has it, or it is not allowed. */
  openMicrophone(): Promise<void>;
  closeMicrophone(): void;
  /** Base64 of 20 ms of sound: 16 bit, mono, 16 kHz. */
  readonly onFrame: CodegenTypes.EventEmitter<string>;
  /** Whether another app or a phone call has taken the sound, or given it back. */
  readonly onInterruption: CodegenTypes.EventEmitter<boolean>;
  /** The microphone has failed, and is closed. */
  readonly onMicrophoneGone: CodegenTypes.EventEmitter<void>;
}

export default TurboModuleRegistry.getEnforcing<Spec>("PhoneAudio");
