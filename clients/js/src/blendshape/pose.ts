// A face's expression at one moment, as the engine sends it.

/** Shares are 0 to 1; rounding and gaze (right, down) are -1 to 1. */
export interface Pose {
  readonly open: number;
  readonly round: number;
  /** Weights of the mouths of PP, FF, TH, SS and CH. */
  readonly consonants: readonly number[];
  readonly blink: number;
  readonly gaze: readonly number[];
  readonly brow: number;
  readonly smile: number;
  /** Yaw, pitch and roll in radians; sway and breath in decimetres. */
  readonly head: readonly number[];
}

export const REST: Pose = {
  open: 0,
  round: 0,
  consonants: [0, 0, 0, 0, 0],
  blink: 0,
  gaze: [0, 0],
  brow: 0,
  smile: 0,
  head: [0, 0, 0, 0, 0],
};

/** The pose a share of the way from one to another. */
export function between(from: Pose, to: Pose, share: number): Pose {
  const mix = (a: number, b: number): number => a + (b - a) * share;
  const mixAll = (a: readonly number[], b: readonly number[]): number[] =>
    a.map((each, index) => mix(each, b[index] ?? each));
  return {
    open: mix(from.open, to.open),
    round: mix(from.round, to.round),
    consonants: mixAll(from.consonants, to.consonants),
    blink: mix(from.blink, to.blink),
    gaze: mixAll(from.gaze, to.gaze),
    brow: mix(from.brow, to.brow),
    smile: mix(from.smile, to.smile),
    head: mixAll(from.head, to.head),
  };
}
