// The microphone: open during a call, but hears only while it records.

import { Loudness } from "./loudness";

// What browsers record and the gateway reads, best first.
const TYPES = ["audio/webm;codecs=opus", "audio/mp4", "audio/ogg;codecs=opus"];

export class Microphone {
  readonly #onLevel: (level: number) => void;
  #opening: Promise<MediaStream> | null = null;
  #starting: Promise<void> = Promise.resolve();
  #recorder: MediaRecorder | null = null;
  #meter: Loudness | null = null;

  constructor(onLevel: (level: number) => void) {
    this.#onLevel = onLevel;
  }

  /** Asks the user once; throws a DOMException when there is none or it is not allowed. */
  open(): Promise<MediaStream> {
    this.#opening ??= openStream().catch((error: unknown) => {
      this.#opening = null;
      throw error;
    });
    return this.#opening;
  }

  /** Records from now on. */
  start(): Promise<void> {
    this.#starting = this.#record();
    return this.#starting;
  }

  /** Returns what was recorded since the start, null when nothing was. */
  async finish(): Promise<Blob | null> {
    // It may still be opening.
    await this.#starting.catch(() => undefined);
    const recorder = this.#recorder;
    if (!recorder) return null;
    const recorded = new Promise<Blob | null>((resolve) => {
      recorder.ondataavailable = ({ data }) => resolve(data.size ? data : null);
    });
    recorder.stop();
    const recording = await recorded;
    await this.#mute();
    return recording;
  }

  /** Lets go of the microphone. */
  async close(): Promise<void> {
    const opening = this.#opening;
    await this.#mute();
    this.#opening = null;
    const stream = await opening?.catch(() => null);
    stream?.getTracks().forEach((track) => track.stop());
  }

  async #record(): Promise<void> {
    const stream = await this.open();
    setHearing(stream, true);
    this.#meter = new Loudness(stream, this.#onLevel);
    const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type));
    this.#recorder = new MediaRecorder(stream, mimeType ? { mimeType } : {});
    this.#recorder.start();
  }

  async #mute(): Promise<void> {
    this.#recorder = null;
    this.#meter?.stop();
    this.#meter = null;
    const stream = await this.#opening?.catch(() => null);
    if (stream) setHearing(stream, false);
  }
}

async function openStream(): Promise<MediaStream> {
  // Pages that are not served securely have no media devices at all.
  if (!navigator.mediaDevices) throw new DOMException("The page is not secure.", "SecurityError");
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
  });
  setHearing(stream, false);
  return stream;
}

function setHearing(stream: MediaStream, isHearing: boolean): void {
  for (const track of stream.getAudioTracks()) track.enabled = isHearing;
}
