// Converts a stream of samples from the sound card's rate to another.

/** Zero crossings of the filter on either side: the more, the steeper. */
const CROSSINGS = 16;
/** How much of the band passes; the rest is the filter's slope, above which nothing may fold back. */
const PASSBAND = 0.9;

/** Filters what the lower rate cannot hold (a windowed sinc), and interpolates. */
export class Resampler {
  /** A step of one output sample is `#step / #phases` input samples. */
  readonly #step: number;
  readonly #phases: number;
  /** One filter for each place between two input samples that an output sample may have. */
  readonly #filters: Float32Array[];
  readonly #taps: number;
  #held: Float32Array;
  #phase = 0;

  constructor(fromHertz: number, toHertz: number) {
    const divisor = greatestCommonDivisor(fromHertz, toHertz);
    this.#step = fromHertz / divisor;
    this.#phases = toHertz / divisor;
    const cutoff = (PASSBAND * Math.min(fromHertz, toHertz)) / fromHertz;
    const reach = Math.ceil(CROSSINGS / cutoff);
    this.#taps = 2 * reach;
    this.#filters = Array.from({ length: this.#phases }, (_, phase) => makeFilter(reach, cutoff, phase / this.#phases));
    this.#held = new Float32Array(reach - 1);
  }

  /** Returns the samples that more input completes. */
  resample(input: Float32Array): Float32Array {
    const samples = new Float32Array(this.#held.length + input.length);
    samples.set(this.#held);
    samples.set(input, this.#held.length);
    const output: number[] = [];
    let at = 0;
    while (at + this.#taps <= samples.length) {
      output.push(this.#filterAt(samples, at));
      this.#phase += this.#step;
      at += Math.floor(this.#phase / this.#phases);
      this.#phase %= this.#phases;
    }
    this.#held = samples.slice(at);
    return Float32Array.from(output);
  }

  #filterAt(samples: Float32Array, at: number): number {
    const filter = this.#filters[this.#phase] ?? [];
    let sum = 0;
    for (let tap = 0; tap < filter.length; tap++) sum += (filter[tap] ?? 0) * (samples[at + tap] ?? 0);
    return sum;
  }
}

/** Returns the weights of the samples around one that lies `offset` after the middle's. */
function makeFilter(reach: number, cutoff: number, offset: number): Float32Array {
  const weights = Float32Array.from({ length: 2 * reach }, (_, tap) => {
    const distance = tap - (reach - 1) - offset;
    // A Hann window.
    return sinc(cutoff * distance) * Math.cos((Math.PI * distance) / (2 * reach)) ** 2;
  });
  const total = weights.reduce((sum, weight) => sum + weight);
  return weights.map((weight) => weight / total);
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

function greatestCommonDivisor(one: number, other: number): number {
  return other === 0 ? one : greatestCommonDivisor(other, one % other);
}
