// How loud a stream is.

import { Meter } from "../meter.js";

/** Measures a stream on every frame until stopped. */
export class Loudness {
  readonly #context = new AudioContext();
  readonly #source: MediaStreamAudioSourceNode;
  readonly #meter: Meter;
  #frame = 0;

  constructor(stream: MediaStream, onLevel: (level: number) => void) {
    this.#meter = new Meter(onLevel);
    this.#source = this.#context.createMediaStreamSource(stream);
    const analyser = this.#context.createAnalyser();
    analyser.fftSize = 1024;
    this.#source.connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const measure = (): void => {
      analyser.getFloatTimeDomainData(samples);
      this.#meter.take(samples, 1);
      this.#frame = requestAnimationFrame(measure);
    };
    measure();
  }

  stop(): void {
    cancelAnimationFrame(this.#frame);
    this.#source.disconnect();
    void this.#context.close();
    this.#meter.reset();
  }
}
