// The picture that fills the page: the portrait until the live picture is there, and what surrounds it.

import { Loudness, type Screen } from "@parley/client/players";
import { find } from "./dom";

/** What fills the frame. */
type Picture = "poster" | "video" | "drawing";

const BACKDROP_MS = 3000;

export class Stage {
  readonly screen: Screen = {
    video: find("face", HTMLVideoElement),
    canvas: find("drawing", HTMLCanvasElement),
    sound: find("sound", HTMLAudioElement),
    showDrawing: () => this.#show("drawing"),
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

  showPoster(): void {
    this.#show("poster");
  }

  #showLive(): void {
    const { video } = this.screen;
    if (video.srcObject && video.videoWidth) this.#show("video");
  }

  #show(picture: Picture): void {
    this.#stage.dataset["picture"] = picture;
    this.#surround();
  }

  /** Fits frame and backdrop to the picture. */
  #surround(): void {
    // Within a frame, because a canvas is cleared once it was shown.
    requestAnimationFrame(() => {
      const [picture, width, height] = this.#picture();
      if (!width || !height) return;
      this.#stage.style.setProperty("--aspect", String(width / height));
      this.#paintBackdrop(picture, width, height);
    });
  }

  /** Continues the picture's left and right edge to the page's, blurred by enlarging a few pixels. */
  #paintBackdrop(picture: CanvasImageSource, width: number, height: number): void {
    const pen = this.#backdrop.getContext("2d");
    if (!pen) return;
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

  /** Plays, which the browser may refuse before a user gesture, and glows with the voice. */
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
