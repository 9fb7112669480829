// How long to wait before the next try.

const FIRST_MS = 500;
const LONGEST_MS = 5000;

/** Exponential from zero on, with jitter so that clients that were cut off together do not return together. */
export function backoffMs(failures: number): number {
  if (failures === 0) return 0;
  const jitter = 0.75 + Math.random() / 2;
  return Math.min(LONGEST_MS, FIRST_MS * 2 ** (failures - 1)) * jitter;
}
