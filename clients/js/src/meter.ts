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

function levelOf(samples: Float32Array | Int16Array, full: number): number {
  let power = 0;
  for (const sample of samples) power += (sample / full) ** 2;
  const decibels = 10 * Math.log10(power / samples.length + 1e-12);
  return Math.min(1, Math.max(0, (decibels - FLOOR_DB) / (CEILING_DB - FLOOR_DB)));
}
