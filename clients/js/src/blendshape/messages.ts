// The binary messages of the data channel, version 1; all numbers are little-endian.

import type { Pose } from "./pose.js";

const VERSION = 1;
const POSE = 0;
const CLOCK = 1;
const POSE_BYTES = 30;
const CLOCK_BYTES = 8;
const HEAD_UNIT = 1e-4;

/** A pose, and when it is shown: in samples of the sound at 48 kHz, modulo 2^32. */
export interface PoseMessage {
  readonly kind: "pose";
  readonly time: number;
  readonly pose: Pose;
}

/** What is added to a time of a pose to have the RTP timestamp of the sound, modulo 2^32. */
export interface ClockMessage {
  readonly kind: "clock";
  readonly offset: number;
}

/** Reads a message; null for an unknown kind. */
export function readMessage(bytes: ArrayBuffer): PoseMessage | ClockMessage | null {
  const view = new DataView(bytes);
  if (view.byteLength < CLOCK_BYTES || view.getUint8(0) !== VERSION) return null;
  const kind = view.getUint8(1);
  if (kind === CLOCK) return { kind: "clock", offset: view.getUint32(4, true) };
  if (kind !== POSE || view.byteLength < POSE_BYTES) return null;
  const share = (at: number): number => view.getUint8(at) / 255;
  const signed = (at: number): number => view.getInt8(at) / 127;
  return {
    kind: "pose",
    time: view.getUint32(4, true),
    pose: {
      open: share(8),
      round: signed(9),
      consonants: [10, 11, 12, 13, 14].map(share),
      blink: share(15),
      gaze: [16, 17].map(signed),
      brow: share(18),
      smile: share(19),
      head: [20, 22, 24, 26, 28].map((at) => view.getInt16(at, true) * HEAD_UNIT),
    },
  };
}
