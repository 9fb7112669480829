// The level of a sound, for meters.

const FLOOR_DB = -55;
const CEILING_DB = -12;

/** Reports levels from 0 (silent) to 1 (loud) that rise at once and fall slowly, as meters do. */
export class Meter {
  readonly #onLevel: (level: number) => void;
  #level = 0;

  constructor(onLevel: (level: number) => void) {
    this.#onLevel = onLevel;
  }

  /** Takes the next samples; `full` is the loudest that one can be. */
  take(samples: Float32Array | Int16Array, full: number): void {
    const level = levelOf(samples, full);
    const before = this.#level;
    this.#level = level > before ? level : before + (level - before) * 0.15;
    if (Math.abs(this.#level - before) > 0.004) this.#onLevel(this.#level);
  }

  reset(): void {
    this.#level = 0;
    this.#onLevel(0);
  }
}

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

function levelOf(samples: Float32Array | Int16Array, full: number): number {
  let power = 0;
  for (const sample of samples) power += (sample / full) ** 2;
  const decibels = 10 * Math.log10(power / samples.length + 1e-12);
  return Math.min(1, Math.max(0, (decibels - FLOOR_DB) / (CEILING_DB - FLOOR_DB)));
}
