// The microphone: open during a call, and silent while it is not enabled.

import { Meter } from "../meter.js";

const FULL = 0x8000;

export interface MicrophoneListener {
  /** Twenty milliseconds of audio: 16 bit, mono, 16 kHz; silence while it is not enabled. */
  onAudio(pcm: Int16Array<ArrayBuffer>): void;
  /** How loud it is, from 0 to 1. */
  onLevel?(level: number): void;
  /** It was unplugged. */
  onGone?(): void;
}

export interface MicrophoneOptions {
  /**
   * Where the module of the audio thread is, for pages whose bundler does not follow
   * `new URL(…, import.meta.url)`: the package has it as `@parley/client/capture.worklet.js`.
   */
  readonly workletUrl?: string | URL;
  /** Which microphone, and how it is heard. Default: without echo and noise, at an even level. */
  readonly constraints?: MediaTrackConstraints;
}

export class Microphone {
  readonly #listener: MicrophoneListener;
  readonly #worklet: string | URL;
  readonly #constraints: MediaTrackConstraints;
  readonly #meter: Meter;
  #opening: Promise<Tap> | null = null;
  #isEnabled = false;

  constructor(listener: MicrophoneListener, { workletUrl, constraints }: MicrophoneOptions = {}) {
    this.#listener = listener;
    this.#worklet = workletUrl ?? new URL("./capture.worklet.js", import.meta.url);
    this.#constraints = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, ...constraints };
    this.#meter = new Meter((level) => listener.onLevel?.(level));
  }

  /** Asks the user, once; throws a DOMException when there is none or it is not allowed. */
  async open(): Promise<void> {
    const opening = (this.#opening ??= this.#tap());
    try {
      enable(await opening, this.#isEnabled);
    } catch (error) {
      if (this.#opening === opening) this.#opening = null;
      throw error;
    }
  }

  /** Whether it passes sound on, or silence. */
  set isEnabled(value: boolean) {
    this.#isEnabled = value;
    void this.#opening?.then((tap) => enable(tap, this.#isEnabled)).catch(() => undefined);
  }

  /** Releases the microphone. */
  async close(): Promise<void> {
    const opening = this.#opening;
    this.#opening = null;
    const tap = await opening?.catch(() => null);
    if (tap) release(tap);
    this.#meter.reset();
  }

  async #tap(): Promise<Tap> {
    // Pages that are not served securely have no media devices at all.
    if (!navigator.mediaDevices) throw new DOMException("The page is not secure.", "SecurityError");
    const stream = await navigator.mediaDevices.getUserMedia({ audio: this.#constraints });
    const tap = { stream, context: new AudioContext() };
    try {
      await this.#connect(tap);
    } catch (error) {
      release(tap);
      throw error;
    }
    return tap;
  }

  async #connect({ stream, context }: Tap): Promise<void> {
    await context.audioWorklet.addModule(this.#worklet);
    const node = new AudioWorkletNode(context, "capture", { channelCount: 1, channelCountMode: "explicit" });
    node.port.onmessage = ({ data }: MessageEvent<Int16Array<ArrayBuffer>>) => {
      this.#meter.take(data, FULL);
      this.#listener.onAudio(data);
    };
    // Its output is silent, but a node that leads nowhere is not run.
    context.createMediaStreamSource(stream).connect(node).connect(context.destination);
    for (const track of stream.getTracks()) track.onended = () => void this.close().then(() => this.#listener.onGone?.());
    void context.resume();
  }
}

/** An open microphone. */
interface Tap {
  readonly stream: MediaStream;
  readonly context: AudioContext;
}

function enable({ stream }: Tap, isEnabled: boolean): void {
  for (const track of stream.getAudioTracks()) track.enabled = isEnabled;
}

function release({ stream, context }: Tap): void {
  for (const track of stream.getTracks()) track.stop();
  void context.close();
}
