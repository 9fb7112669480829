// Times of the sound: samples at 48 kHz, continued where 32 bits wrap around.

export const RATE = 48_000;
export const SAMPLES_PER_MS = RATE / 1000;
const TURN = 2 ** 32;

/** The number nearest to a reference that is equal to a 32-bit one, modulo 2^32. */
export function unwrap(time: number, reference: number): number {
  return time + Math.round((reference - time) / TURN) * TURN;
}
