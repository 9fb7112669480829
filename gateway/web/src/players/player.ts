// The interface between a call and the ways to watch it.

import type { Ticket } from "./ticket";

/** Where a player puts picture and sound. */
export interface Screen {
  readonly video: HTMLVideoElement;
  readonly canvas: HTMLCanvasElement;
  readonly sound: HTMLAudioElement;
  /** Shows the canvas instead of the video. */
  showDrawing(): void;
}

/** What the engine sends: a video, or poses that the page draws; the viewer's choice. */
export type Output = "video" | "blendshape";

export interface Viewer {
  readonly userId: string;
  readonly roomId: string;
  readonly streamId: string;
}

/** How a viewer's token is renewed. */
export interface Access {
  renew(): Promise<Ticket>;
  /** The viewer's clock is so wrong that tokens seem to expire at once. */
  onWrongClock(): void;
}

export interface Player {
  /** Starts to play; throws when there is nothing to play. The caller limits the time. */
  play(ticket: Ticket): Promise<void>;
  /** Resolves when the stream breaks off. */
  readonly lost: Promise<void>;
  /** Leaves; safe at any time. */
  stop(): void;
}

/** Returns the player for a deployment's way to watch. */
export async function createPlayer(
  ticket: Ticket,
  screen: Screen,
  viewer: Viewer,
  { output, access }: { output: Output; access: Access },
): Promise<Player> {
  if (ticket.playback.protocol === "ZEGO_EXPRESS") {
    const { ZegoPlayer } = await import("./zego");
    return new ZegoPlayer(screen, viewer, access);
  }
  if (output === "blendshape") {
    const { BlendshapePlayer } = await import("./blendshape");
    return new BlendshapePlayer(screen);
  }
  const { WhepPlayer } = await import("./whep");
  return new WhepPlayer(screen);
}
