// Where a player puts picture and sound.

/** What plays a stream: an element of a page, or what an app has instead. */
export interface Outlet {
  srcObject: MediaProvider | null;
}

export interface Outlets {
  readonly video: Outlet;
  readonly sound: Outlet;
}

export interface Screen extends Outlets {
  readonly video: HTMLVideoElement;
  /** What the face is drawn on, where the page draws it. */
  readonly canvas: HTMLCanvasElement;
  readonly sound: HTMLAudioElement;
  /** Shows the canvas instead of the video. */
  showDrawing(): void;
}
