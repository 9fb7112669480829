// Runs on the audio thread: makes messages of the microphone's samples, in the gateway's format.

import { Resampler } from "./resampler.js";

const RATE_HERTZ = 16_000;
/** 20 ms. */
const MESSAGE_SAMPLES = 320;

// Missing in TypeScript's DOM types.
declare const sampleRate: number;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;

class Capture extends AudioWorkletProcessor {
  readonly #resampler = new Resampler(sampleRate, RATE_HERTZ);
  #message = new Int16Array(MESSAGE_SAMPLES);
  #filled = 0;

  process([input]: Float32Array[][]): boolean {
    const channel = input?.[0];
    if (channel) for (const sample of this.#resampler.resample(channel)) this.#add(sample);
    return true;
  }

  #add(sample: number): void {
    this.#message[this.#filled++] = Math.round(Math.min(1, Math.max(-1, sample)) * 0x7fff);
    if (this.#filled < MESSAGE_SAMPLES) return;
    this.port.postMessage(this.#message, [this.#message.buffer]);
    this.#message = new Int16Array(MESSAGE_SAMPLES);
    this.#filled = 0;
  }
}

registerProcessor("capture", Capture);
