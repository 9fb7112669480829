// Plays a WHEP stream, as the engine serves it. Needs WebRTC, and no document.

import { pause } from "../pause.js";
import type { Player } from "../player.js";
import type { ViewerToken } from "../viewer_token.js";
import type { Outlets } from "./screen.js";

const GATHERING_MS = 2000;
/** A connection that is disconnected may recover on its own. */
const PATIENCE_MS = 4000;
/** One that brings nothing for this long is dead, whatever its state: media always flows. */
const FROZEN_MS = 6000;
const LOOK_MS = 1000;

export class WhepPlayer<Screen extends Outlets = Outlets> implements Player {
  readonly lost: Promise<void>;
  protected readonly screen: Screen;
  protected readonly connection = new RTCPeerConnection();
  readonly #leaving = new AbortController();
  #viewer: URL | null = null;

  constructor(screen: Screen) {
    this.screen = screen;
    this.lost = untilLost(this.connection, this.#leaving.signal);
  }

  async play({ playback, token }: ViewerToken): Promise<void> {
    const url = new URL(playback.url);
    this.prepare(url);
    await this.connection.setLocalDescription();
    await untilGathered(this.connection);
    const response = await this.#offer(url, token);
    const location = response.headers.get("Location");
    if (location) this.#viewer = new URL(location, url);
    const sdp = await response.text();
    if (this.#leaving.signal.aborted) this.#leave();
    this.#leaving.signal.throwIfAborted();
    await this.connection.setRemoteDescription({ type: "answer", sdp });
    await Promise.all([this.accept(response), untilConnected(this.connection, this.#leaving.signal)]);
  }

  stop(): void {
    this.#leaving.abort();
    this.connection.close();
    this.screen.video.srcObject = null;
    this.screen.sound.srcObject = null;
    this.#leave();
  }

  /** Prepares the connection, before the offer is sent to an address. */
  protected prepare(_url: URL): void {
    for (const kind of ["audio", "video"]) this.connection.addTransceiver(kind, { direction: "recvonly" });
    this.connection.ontrack = ({ track, streams }) => {
      // One stream in both elements: the browser keeps lips and voice together.
      const element = track.kind === "audio" ? this.screen.sound : this.screen.video;
      element.srcObject = streams[0] ?? new MediaStream([track]);
    };
  }

  /** Handles the rest of the answer. */
  protected async accept(_response: Response): Promise<void> {
    // There is nothing but the stream.
  }

  async #offer(url: URL, token: string): Promise<Response> {
    const { signal } = this.#leaving;
    for (;;) {
      const response = await fetch(url, {
        method: "POST",
        body: this.connection.localDescription?.sdp ?? "",
        headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${token}` },
        signal,
      });
      if (response.ok) return response;
      // 409: not on air yet; 503: too many viewers.
      if (response.status !== 409 && response.status !== 503) throw new Error("The picture did not come.");
      // Of a proxy it may be a date.
      await pause((Number(response.headers.get("Retry-After")) || 1) * 1000, signal);
      signal.throwIfAborted();
    }
  }

  #leave(): void {
    if (this.#viewer) void fetch(this.#viewer, { method: "DELETE", keepalive: true }).catch(() => undefined);
    this.#viewer = null;
  }
}

function untilGathered(connection: RTCPeerConnection): Promise<void> {
  return new Promise((resolve) => {
    const check = (): void => {
      if (connection.iceGatheringState === "complete") resolve();
    };
    connection.addEventListener("icegatheringstatechange", check);
    setTimeout(resolve, GATHERING_MS);
    check();
  });
}

/** Before that, nothing could be heard. */
function untilConnected(connection: RTCPeerConnection, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (): void => reject(new Error("The picture did not come."));
    signal.addEventListener("abort", fail);
    connection.addEventListener("connectionstatechange", () => {
      if (connection.connectionState === "failed") fail();
      if (connection.connectionState === "connected") resolve();
    });
  });
}

async function untilLost(connection: RTCPeerConnection, signal: AbortSignal): Promise<void> {
  await Promise.race([untilBroken(connection, signal), untilFrozen(connection, signal)]);
}

function untilBroken(connection: RTCPeerConnection, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    connection.addEventListener("connectionstatechange", () => {
      clearTimeout(timer);
      if (signal.aborted) return;
      if (connection.connectionState === "failed") resolve();
      if (connection.connectionState === "disconnected") timer = setTimeout(resolve, PATIENCE_MS);
    });
    connection.addEventListener("track", ({ track }) => track.addEventListener("ended", () => resolve()));
  });
}

async function untilFrozen(connection: RTCPeerConnection, signal: AbortSignal): Promise<void> {
  let received = 0;
  let changedAt = performance.now();
  while (!signal.aborted) {
    await pause(LOOK_MS, signal);
    const now = await bytesReceived(connection);
    // Connecting has a deadline of its own.
    if (now !== received || connection.connectionState !== "connected") changedAt = performance.now();
    else if (performance.now() - changedAt > FROZEN_MS) return;
    received = now;
  }
}

async function bytesReceived(connection: RTCPeerConnection): Promise<number> {
  let bytes = 0;
  for (const report of (await connection.getStats()).values() as Iterable<RTCStats & { bytesReceived?: number }>) {
    if (report.type === "inbound-rtp" || report.type === "data-channel") bytes += report.bytesReceived ?? 0;
  }
  return bytes;
}
