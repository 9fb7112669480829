// The playout clock: which moment of the sound leaves the loudspeaker now.

import { RATE, SAMPLES_PER_MS, unwrap } from "./time.js";

/** When it is further off than this, the clock jumps; otherwise it is adjusted gradually. */
const JUMP = 0.1 * RATE;
const DRAW = 0.1;
/** Later than an epoch time of 2001 in milliseconds, a timestamp does not count from the page's start. */
const EPOCH_MS = 1e12;

export class SoundClock {
  #offset: number | null = null;
  #start: number | null = null;
  #heardMs = 0;

  /** Takes the offset from a media time to its RTP timestamp. */
  setOffset(offset: number): void {
    if (this.#offset !== offset) this.#start = null;
    this.#offset = offset;
  }

  /** The media time that is heard at a moment of `performance.now()`; null before any sound. */
  at(nowMs: number, receiver: RTCRtpReceiver): number | null {
    const [source] = receiver.getSynchronizationSources();
    if (source && this.#offset !== null) {
      const heardMs = source.timestamp > EPOCH_MS ? source.timestamp - performance.timeOrigin : source.timestamp;
      if (heardMs !== this.#heardMs) {
        this.#heardMs = heardMs;
        this.#follow(source.rtpTimestamp - this.#offset, heardMs);
      }
    }
    return this.#start === null ? null : this.#start + nowMs * SAMPLES_PER_MS;
  }

  #follow(time: number, heardMs: number): void {
    const known = this.#start;
    const passed = heardMs * SAMPLES_PER_MS;
    const start = unwrap(time - passed, known ?? -passed);
    if (known === null || Math.abs(start - known) > JUMP) this.#start = start;
    else this.#start = known + (start - known) * DRAW;
  }
}
