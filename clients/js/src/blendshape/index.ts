// Draws a digital human in the page from the poses that the engine sends beside the sound.
//
// Before the offer is made:   const face = attach(connection, canvas, sound, address);
// The offer goes to           POST /whep/{StreamId}?output=blendshape
// and its answer says where the files of the face lie: resolve `address` with findFace(response).

import { type FaceAssets, loadAssets } from "./assets.js";
import { SoundClock } from "./clock.js";
import { readMessage } from "./messages.js";
import { Painter } from "./painter.js";
import { between, type Pose, REST } from "./pose.js";
import { RATE, SAMPLES_PER_MS } from "./time.js";
import { Timeline } from "./timeline.js";

const LABEL = "blendshape";
const RELATION = /<([^>]*)>\s*;\s*rel="?face"?/;
/** Until the clock is known, the latest pose is shown this late: about as late as it is heard. */
const GUESSED_DELAY = 0.1 * RATE;
/** The head moves smoothly to its pose, even when that arrives late. */
const HEAD_TIME_MS = 60;

export interface Face {
  /** Resolves when the face can be drawn; rejects when its files cannot be loaded. */
  readonly ready: Promise<void>;
  /** Stops drawing; the connection stays open. */
  detach(): void;
}

/** The address of a face's files, from the answer to an offer. */
export function findFace(response: Response): string {
  const [, address] = response.headers.get("Link")?.match(RELATION) ?? [];
  if (!address) throw new Error("The answer names no face.");
  return new URL(address, response.url).href;
}

/** Opens the data channel, plays the sound in an element, and draws its face on a canvas. */
export function attach(
  connection: RTCPeerConnection,
  canvas: HTMLCanvasElement,
  sound: HTMLAudioElement,
  assetsUrl: string | Promise<string>,
): Face {
  return new DrawnFace(connection, canvas, sound, assetsUrl);
}

class DrawnFace implements Face {
  readonly ready: Promise<void>;
  readonly #canvas: HTMLCanvasElement;
  readonly #leaving = new AbortController();
  readonly #timeline = new Timeline();
  readonly #clock = new SoundClock();
  #receiver: RTCRtpReceiver | null = null;
  #assets: FaceAssets | null = null;
  #painter: Painter | null = null;
  #shown: Pose = REST;
  #shownMs = 0;
  #timer = 0;

  constructor(
    connection: RTCPeerConnection,
    canvas: HTMLCanvasElement,
    sound: HTMLAudioElement,
    assetsUrl: string | Promise<string>,
  ) {
    this.#canvas = canvas;
    const { signal } = this.#leaving;
    const channel = connection.createDataChannel(LABEL, { ordered: false, maxRetransmits: 0 });
    channel.binaryType = "arraybuffer";
    channel.addEventListener("message", ({ data }) => this.#take(data as ArrayBuffer), { signal });
    connection.addEventListener("track", ({ track, receiver, streams }) => {
      if (track.kind !== "audio") return;
      this.#receiver = receiver;
      sound.srcObject = streams[0] ?? new MediaStream([track]);
    }, { signal });
    canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault();
      this.#painter = null;
    }, { signal });
    canvas.addEventListener("webglcontextrestored", () => this.#prepare(), { signal });
    this.ready = this.#load(assetsUrl);
    // A caller that does not await it must not get an unhandled rejection.
    this.ready.catch(() => undefined);
  }

  detach(): void {
    this.#leaving.abort();
    cancelAnimationFrame(this.#timer);
    this.#painter = null;
  }

  async #load(assetsUrl: string | Promise<string>): Promise<void> {
    const { signal } = this.#leaving;
    this.#assets = await loadAssets(await assetsUrl, signal);
    signal.throwIfAborted();
    this.#prepare();
    this.#timer = requestAnimationFrame(this.#draw);
  }

  #prepare(): void {
    const gl = this.#canvas.getContext("webgl2", { alpha: false, antialias: false, depth: false });
    if (!gl) throw new Error("This browser cannot draw the face: it has no WebGL2.");
    if (this.#assets && !gl.isContextLost()) this.#painter = new Painter(gl, this.#assets);
  }

  #take(bytes: ArrayBuffer): void {
    const message = readMessage(bytes);
    if (message?.kind === "pose") this.#timeline.add(message.time, message.pose);
    if (message?.kind === "clock") this.#clock.setOffset(message.offset);
  }

  readonly #draw = (nowMs: number): void => {
    this.#timer = requestAnimationFrame(this.#draw);
    const pose = this.#timeline.at(this.#now(nowMs));
    const share = 1 - Math.exp(-(nowMs - this.#shownMs) / HEAD_TIME_MS);
    this.#shown = { ...pose, head: between(this.#shown, pose, share).head };
    this.#shownMs = nowMs;
    this.#painter?.paint(this.#shown);
  };

  #now(nowMs: number): number {
    const heard = this.#receiver && this.#clock.at(nowMs, this.#receiver);
    return heard ?? (this.#timeline.end ?? nowMs * SAMPLES_PER_MS) - GUESSED_DELAY;
  }
}
