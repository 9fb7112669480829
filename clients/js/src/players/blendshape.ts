// Plays sound and poses of a WHEP stream, and draws the face in the page: several times cheaper for the engine.

import { attach, type Face, findFace } from "../blendshape/index.js";
import type { Screen } from "./screen.js";
import { WhepPlayer } from "./whep.js";

export class BlendshapePlayer extends WhepPlayer<Screen> {
  readonly #address = Promise.withResolvers<string>();
  #face: Face | null = null;

  override stop(): void {
    this.#face?.detach();
    super.stop();
  }

  protected override prepare(url: URL): void {
    url.searchParams.set("output", "blendshape");
    this.connection.addTransceiver("audio", { direction: "recvonly" });
    this.#face = attach(this.connection, this.screen.canvas, this.screen.sound, this.#address.promise);
  }

  protected override async accept(response: Response): Promise<void> {
    this.#address.resolve(findFace(response));
    await this.#face?.ready;
    this.screen.showDrawing();
  }
}
