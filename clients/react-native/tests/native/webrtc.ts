// Stands for the native side of react-native-webrtc: connections that a test scripts, and their view.

import { View } from "react-native";

export class MediaStream {
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  toURL(): string {
    return this.#name;
  }
}

/** The connections that were made, last first. */
export const connections: RTCPeerConnection[] = [];

export class RTCPeerConnection extends EventTarget {
  readonly kinds: string[] = [];
  iceGatheringState = "new";
  connectionState = "new";
  localDescription: { sdp: string } | null = null;
  remoteDescription: { sdp: string } | null = null;
  ontrack: (event: { track: { kind: string }; streams: MediaStream[] }) => void = () => undefined;
  bytes = 0;

  constructor() {
    super();
    connections.unshift(this);
  }

  addTransceiver(kind: string): void {
    this.kinds.push(kind);
  }

  async setLocalDescription(): Promise<void> {
    this.localDescription = { sdp: "v=0 offer" };
    this.iceGatheringState = "complete";
  }

  /** Connects once it has the answer. */
  async setRemoteDescription(description: { sdp: string }): Promise<void> {
    this.remoteDescription = description;
    for (const kind of this.kinds) this.ontrack({ track: { kind }, streams: [new MediaStream("stream of the engine")] });
    setTimeout(() => this.turn("connected"));
  }

  async getStats(): Promise<Map<string, unknown>> {
    return new Map([["in", { type: "inbound-rtp", bytesReceived: ++this.bytes }]]);
  }

  turn(state: string): void {
    this.connectionState = state;
    this.dispatchEvent(new Event("connectionstatechange"));
  }

  close(): void {
    this.connectionState = "closed";
  }
}

export function registerGlobals(): void {
  Object.assign(globalThis, { RTCPeerConnection, MediaStream });
}

export const RTCView = View;
