// Which of the rendered mouths and eyes make up those of a pose, as the engine's painter has it.

import type { Pose } from "./pose.js";

const OPENINGS = [0, 0.16, 0.36, 0.62, 1] as const;
const ROUNDINGS = [-1, -0.5, 0, 0.5, 1] as const;
const STEPS = OPENINGS.length;
const FIRST_CONSONANT = STEPS * STEPS;
const CLOSED_MOUTH = 2;
const NEGLIGIBLE = 0.02;
const BLINK_STEPS = 3;
const [OPEN_EYES, LEFT, RIGHT, DOWN, RAISED, SMILING] = [0, 4, 5, 6, 7, 8] as const;

/** The most that the shader blends. */
export const MAX_PATCHES = 6;

/** The number of a patch and its share. */
export type Weight = readonly [patch: number, share: number];

export function weighMouths(pose: Pose): Weight[] {
  const rest = 1 - Math.min(1, pose.consonants.reduce((sum, each) => sum + each, 0));
  const weights: Weight[] = pose.consonants.map((share, index) => [FIRST_CONSONANT + index, share]);
  for (const [row, rowShare] of split(OPENINGS, pose.open)) {
    for (const [column, columnShare] of split(ROUNDINGS, pose.round)) {
      weights.push([row * STEPS + column, rowShare * columnShare * rest]);
    }
  }
  const kept = weights
    .filter(([, share]) => share > NEGLIGIBLE)
    .sort(([, one], [, other]) => other - one)
    .slice(0, MAX_PATCHES);
  const total = kept.reduce((sum, [, share]) => sum + share, 0);
  return total ? kept.map(([patch, share]) => [patch, share / total]) : [[CLOSED_MOUTH, 1]];
}

export function weighEyes(pose: Pose): Weight[] {
  if (pose.blink > NEGLIGIBLE) {
    const step = Math.min(BLINK_STEPS - 1, Math.floor(pose.blink * BLINK_STEPS));
    const share = pose.blink * BLINK_STEPS - step;
    return [
      [step, 1 - share],
      [step + 1, share],
    ];
  }
  const [right = 0, down = 0] = pose.gaze;
  let weights: Weight[] = [[OPEN_EYES, 1]];
  const looks: Weight[] = [
    [RIGHT, right],
    [LEFT, -right],
    [DOWN, down],
    [RAISED, pose.brow],
    [SMILING, pose.smile],
  ];
  for (const [patch, share] of looks) {
    if (share <= NEGLIGIBLE) continue;
    weights = weights.map(([other, weight]) => [other, weight * (1 - share)]);
    weights.push([patch, share]);
  }
  return weights;
}

function split(steps: readonly number[], value: number): [Weight, Weight] {
  let below = 0;
  while (below < steps.length - 2 && value >= (steps[below + 1] ?? Infinity)) below++;
  const [low = 0, high = 1] = steps.slice(below, below + 2);
  const share = Math.min(1, Math.max(0, (value - low) / (high - low)));
  return [
    [below, 1 - share],
    [below + 1, share],
  ];
}
