// Where a player puts picture and sound.

export interface Screen {
  readonly video: HTMLVideoElement;
  /** What the face is drawn on, where the page draws it. */
  readonly canvas: HTMLCanvasElement;
  readonly sound: HTMLAudioElement;
  /** Shows the canvas instead of the video. */
  showDrawing(): void;
}
