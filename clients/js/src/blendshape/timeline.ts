// The poses that have arrived, in the order of their times, with interpolation between them.

import { between, type Pose, REST } from "./pose.js";
import { RATE, unwrap } from "./time.js";

const KEPT = 256;
/** Poses of a speaking face arrive every 40 ms; after a longer gap, its words are over or lost. */
const MOUTH_HOLD = 0.12 * RATE;
/** Two poses that are further apart than this are not interpolated. */
const MAX_GAP = 0.5 * RATE;

interface Moment {
  readonly time: number;
  readonly pose: Pose;
}

export class Timeline {
  #moments: Moment[] = [];

  /** The time of the latest pose. */
  get end(): number | null {
    return this.#moments.at(-1)?.time ?? null;
  }

  /** Takes a pose; they may arrive in any order, more than once, or not at all. */
  add(time: number, pose: Pose): void {
    const moment = { time: unwrap(time, this.end ?? time), pose };
    let place = this.#moments.length;
    while (place > 0 && (this.#moments[place - 1]?.time ?? 0) >= moment.time) place--;
    if (this.#moments[place]?.time === moment.time) return;
    this.#moments.splice(place, 0, moment);
    if (this.#moments.length > KEPT) this.#moments.shift();
  }

  /** The pose at a moment. */
  at(moment: number): Pose {
    const time = unwrap(moment, this.end ?? moment);
    while ((this.#moments[1]?.time ?? Infinity) <= time) this.#moments.shift();
    const [before, after] = this.#moments;
    if (!before) return REST;
    if (before.time > time) return { ...before.pose, ...closed(before.pose) };
    if (after && after.time - before.time <= MAX_GAP) {
      return between(before.pose, after.pose, (time - before.time) / (after.time - before.time));
    }
    return time - before.time <= MOUTH_HOLD ? before.pose : { ...before.pose, ...closed(before.pose) };
  }
}

function closed(pose: Pose): Partial<Pose> {
  return { open: 0, round: pose.round / 2, consonants: REST.consonants, blink: 0 };
}
