// The face: a portrait until the live picture is there, then a video or a drawing, with its sound.
// Its elements are made once, and move with their container.

import type { Screen } from "../players/screen.js";

type Picture = "poster" | "video" | "drawing";

/** Set one by one, which pages whose policy forbids style attributes allow. */
const LAYER: Partial<CSSStyleDeclaration> = {
  position: "absolute",
  inset: "0",
  width: "100%",
  height: "100%",
  objectFit: "cover",
  objectPosition: "50% 0",
};

export class Stage {
  /** Fills its container, which must be positioned; `data-picture` says what it shows. */
  readonly element = document.createElement("div");
  readonly screen: Screen;
  readonly #layers = {
    poster: document.createElement("img"),
    drawing: document.createElement("canvas"),
    video: document.createElement("video"),
  };
  readonly #sound = document.createElement("audio");
  readonly #onSilenced: (isSilenced: boolean) => void;

  /** `onSilenced` is told whether the browser refuses to play sound until the user has clicked. */
  constructor(onSilenced: (isSilenced: boolean) => void) {
    this.#onSilenced = onSilenced;
    const { poster, drawing, video } = this.#layers;
    poster.alt = "";
    for (const medium of [video, this.#sound]) medium.autoplay = true;
    Object.assign(video, { muted: true, playsInline: true, disablePictureInPicture: true });
    for (const layer of [this.element, poster, drawing, video]) Object.assign(layer.style, LAYER);
    this.element.ariaHidden = "true";
    this.element.append(poster, drawing, video, this.#sound);
    this.#show("poster");
    this.screen = { video, canvas: drawing, sound: this.#sound, showDrawing: () => this.#show("drawing") };
    for (const event of ["loadeddata", "resize"]) {
      video.addEventListener(event, () => {
        if (video.srcObject && video.videoWidth) this.#show("video");
      });
    }
    video.addEventListener("emptied", () => this.#show("poster"));
    this.#sound.addEventListener("loadedmetadata", () => void this.play());
  }

  /** Shows who is called; nobody where the address is empty. */
  setPortrait(url: string): void {
    const { poster } = this.#layers;
    if (url && poster.getAttribute("src") !== url) poster.src = url;
    if (!url) poster.removeAttribute("src");
    poster.hidden = !url;
  }

  showPoster(): void {
    this.#show("poster");
    this.#onSilenced(false);
  }

  /** Plays picture and sound, which browsers may refuse before the user has clicked something. */
  async play(): Promise<void> {
    try {
      await Promise.all([this.#layers.video, this.#sound].filter(({ srcObject }) => srcObject).map((each) => each.play()));
      this.#onSilenced(false);
    } catch (error) {
      this.#onSilenced(error instanceof DOMException && error.name === "NotAllowedError");
    }
  }

  #show(shown: Picture): void {
    this.element.dataset["picture"] = shown;
    for (const [name, layer] of Object.entries(this.#layers)) layer.style.visibility = name === shown ? "inherit" : "hidden";
  }
}
