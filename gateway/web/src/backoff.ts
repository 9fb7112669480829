// How long to wait before another try.

const FIRST_MS = 500;
const LONGEST_MS = 5000;

/** At once, then longer and longer; not exactly, so that all who were cut off do not return together. */
export function backoffMs(failures: number): number {
  if (failures === 0) return 0;
  const jitter = 0.75 + Math.random() / 2;
  return Math.min(LONGEST_MS, FIRST_MS * 2 ** (failures - 1)) * jitter;
}
