// The picture that fills the page: the portrait until the live picture is there, and what surrounds it.

import { find } from "./dom";
import { Loudness } from "./loudness";
import type { Screen } from "./players/player";

const BACKDROP_MS = 3000;

export class Stage {
  readonly screen: Screen = {
    video: find("face", HTMLVideoElement),
    canvas: find("drawing", HTMLCanvasElement),
    sound: find("sound", HTMLAudioElement),
  };
  readonly #stage = find("stage", HTMLElement);
  readonly #poster = find("poster", HTMLImageElement);
  readonly #backdrop = find("backdrop", HTMLCanvasElement);
  readonly #soundOn = find("sound-on", HTMLButtonElement);
  #loudness: Loudness | null = null;

  constructor() {
    const { video, sound } = this.screen;
    this.#poster.addEventListener("load", () => this.#surround());
    for (const event of ["loadeddata", "resize"]) video.addEventListener(event, () => this.#showLive());
    video.addEventListener("emptied", () => this.showPoster());
    sound.addEventListener("loadedmetadata", () => void this.#listen());
    sound.addEventListener("emptied", () => this.#stopListening());
    this.#soundOn.addEventListener("click", () => void this.#listen());
    setInterval(() => this.#surround(), BACKDROP_MS);
  }

  /** Shows who will be called. */
  setPortrait(url: string): void {
    if (this.#poster.getAttribute("src") !== url) this.#poster.src = url;
  }

  /** Shows what is drawn on the canvas. */
  showDrawing(): void {
    this.#stage.dataset["picture"] = "drawing";
    this.#surround();
  }

  showPoster(): void {
    this.#stage.dataset["picture"] = "poster";
    this.#surround();
  }

  #showLive(): void {
    const { video } = this.screen;
    if (!video.srcObject || !video.videoWidth) return;
    this.#stage.dataset["picture"] = "video";
    this.#stage.style.setProperty("--aspect", String(video.videoWidth / video.videoHeight));
    this.#surround();
  }

  /** Continues the picture's left and right edge to the page's, blurred by enlarging a few pixels. */
  #surround(): void {
    const [picture, width, height] = this.#picture();
    const pen = this.#backdrop.getContext("2d");
    if (!pen || !width || !height) return;
    pen.imageSmoothingQuality = "high";
    const edge = Math.max(1, width * 0.02);
    for (const [column, left] of [0, width - edge].entries()) {
      pen.drawImage(picture, left, 0, edge, height, column, 0, 1, this.#backdrop.height);
    }
  }

  #picture(): [CanvasImageSource, width: number, height: number] {
    const { video, canvas } = this.screen;
    switch (this.#stage.dataset["picture"]) {
      case "video":
        return [video, video.videoWidth, video.videoHeight];
      case "drawing":
        return [canvas, canvas.width, canvas.height];
      default:
        return [this.#poster, this.#poster.naturalWidth, this.#poster.naturalHeight];
    }
  }

  /** Plays, which the browser may refuse before the user does something, and lights up with the voice. */
  async #listen(): Promise<void> {
    const { sound } = this.screen;
    this.#stopListening();
    if (!(sound.srcObject instanceof MediaStream)) return;
    this.#loudness = new Loudness(sound.srcObject, (level) => {
      this.#stage.style.setProperty("--voice", level.toFixed(3));
    });
    try {
      await sound.play();
      this.#soundOn.hidden = true;
    } catch (error) {
      this.#soundOn.hidden = !(error instanceof DOMException && error.name === "NotAllowedError");
    }
  }

  #stopListening(): void {
    this.#loudness?.stop();
    this.#loudness = null;
  }
}
