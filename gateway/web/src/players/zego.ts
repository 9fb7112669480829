// Plays a stream of the real cloud with the vendor's SDK; loaded for such deployments alone.

import type { ZegoExpressEngine } from "zego-express-engine-webrtc";
import type { Ticket } from "../contract";
import type { Player, Screen, Viewer } from "./player";

const STARTING_MS = 15_000;

export class ZegoPlayer implements Player {
  readonly lost: Promise<void>;
  readonly #screen: Screen;
  readonly #viewer: Viewer;
  readonly #renew: () => Promise<Ticket>;
  #engine: ZegoExpressEngine | null = null;
  readonly #loss = Promise.withResolvers<void>();
  readonly #start = Promise.withResolvers<void>();

  constructor(screen: Screen, viewer: Viewer, renew: () => Promise<Ticket>) {
    this.#screen = screen;
    this.#viewer = viewer;
    this.#renew = renew;
    this.lost = this.#loss.promise;
    // It may fail before anybody waits for it.
    this.#start.promise.catch(() => undefined);
  }

  async play({ appId, token, playback }: Ticket): Promise<void> {
    const { roomId, userId, streamId } = this.#viewer;
    const sdk = await import("zego-express-engine-webrtc");
    const engine = new sdk.ZegoExpressEngine(appId, playback.url);
    this.#engine = engine;
    engine.setLogConfig({ logLevel: "disable", remoteLogLevel: "disable" });
    engine.on("roomStreamUpdate", (_, change, streams) => {
      if (change === "ADD" && streams.some(({ streamID }) => streamID === streamId)) void this.#show(engine);
    });
    engine.on("tokenWillExpire", () => void this.#renewToken(engine));
    engine.on("roomStateChanged", (_, reason) => {
      if (reason === "RECONNECT_FAILED" || reason === "KICKOUT") this.#loss.resolve();
    });
    await engine.loginRoom(roomId, token, { userID: userId }, { userUpdate: false });
    setTimeout(() => this.#start.reject(new Error("The picture did not come.")), STARTING_MS);
    await this.#start.promise;
  }

  stop(): void {
    const engine = this.#engine;
    if (!engine) return;
    this.#engine = null;
    this.#start.reject(new Error("The call is over."));
    engine.stopPlayingStream(this.#viewer.streamId);
    engine.logoutRoom(this.#viewer.roomId);
    engine.destroyEngine();
    this.#screen.video.srcObject = null;
    this.#screen.sound.srcObject = null;
  }

  async #show(engine: ZegoExpressEngine): Promise<void> {
    try {
      const stream = await engine.startPlayingStream(this.#viewer.streamId);
      if (this.#engine !== engine) return;
      this.#screen.video.srcObject = stream;
      this.#screen.sound.srcObject = stream;
      this.#start.resolve();
    } catch (error) {
      this.#start.reject(error);
      this.#loss.resolve();
    }
  }

  async #renewToken(engine: ZegoExpressEngine): Promise<void> {
    try {
      engine.renewToken((await this.#renew()).token, this.#viewer.roomId);
    } catch {
      this.#loss.resolve();
    }
  }
}
