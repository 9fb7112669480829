// How loud a sound is right now.

const FLOOR_DB = -55;
const CEILING_DB = -12;

/** Measures a stream, 0 (silent) to 1 (loud), on every frame until stopped. */
export class Loudness {
  readonly #context = new AudioContext();
  readonly #source: MediaStreamAudioSourceNode;
  readonly #onLevel: (level: number) => void;
  #frame = 0;
  #smooth = 0;

  constructor(stream: MediaStream, onLevel: (level: number) => void) {
    this.#onLevel = onLevel;
    this.#source = this.#context.createMediaStreamSource(stream);
    const analyser = this.#context.createAnalyser();
    analyser.fftSize = 1024;
    this.#source.connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const measure = (): void => {
      analyser.getFloatTimeDomainData(samples);
      this.#tell(levelOf(samples));
      this.#frame = requestAnimationFrame(measure);
    };
    measure();
  }

  stop(): void {
    cancelAnimationFrame(this.#frame);
    this.#source.disconnect();
    void this.#context.close();
    this.#onLevel(0);
  }

  /** Rises at once and falls slowly, as meters do. */
  #tell(level: number): void {
    const before = this.#smooth;
    this.#smooth = level > before ? level : before + (level - before) * 0.15;
    if (Math.abs(this.#smooth - before) > 0.004) this.#onLevel(this.#smooth);
  }
}

function levelOf(samples: Float32Array): number {
  let power = 0;
  for (const sample of samples) power += sample * sample;
  const decibels = 10 * Math.log10(power / samples.length + 1e-12);
  return Math.min(1, Math.max(0, (decibels - FLOOR_DB) / (CEILING_DB - FLOOR_DB)));
}
