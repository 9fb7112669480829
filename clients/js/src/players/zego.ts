// Plays a stream of the real cloud with the vendor's SDK; loaded in such deployments only.

import type { ZegoExpressEngine } from "zego-express-engine-webrtc";
import type { Player, Watching } from "../player.js";
import type { Viewer, ViewerToken } from "../viewer_token.js";
import { Renewal } from "./renewal.js";
import type { Screen } from "./screen.js";

export class ZegoPlayer implements Player {
  readonly lost: Promise<void>;
  readonly #screen: Screen;
  readonly #viewer: Viewer;
  readonly #watching: Watching;
  #engine: ZegoExpressEngine | null = null;
  readonly #leaving = new AbortController();
  readonly #loss = Promise.withResolvers<void>();
  readonly #start = Promise.withResolvers<void>();

  constructor(screen: Screen, watching: Watching) {
    this.#screen = screen;
    this.#viewer = watching.viewer;
    this.#watching = watching;
    this.lost = this.#loss.promise;
    // It may be rejected before it is awaited.
    this.#start.promise.catch(() => undefined);
  }

  async play(token: ViewerToken): Promise<void> {
    const { roomId, userId } = this.#viewer;
    const { ZegoExpressEngine } = await loadSdk();
    this.#leaving.signal.throwIfAborted();
    // Before the engine is made: from its construction on it reports to the vendor, including the token.
    ZegoExpressEngine.presetLogConfig({ logLevel: "disable", remoteLogLevel: "disable" });
    const engine = new ZegoExpressEngine(token.appId, token.playback.url);
    this.#engine = engine;
    this.#listen(engine, this.#renewal(engine, token));
    const isIn = await engine.loginRoom(roomId, token.token, { userID: userId }, { userUpdate: false });
    if (!isIn) throw new Error("The room does not let the viewer in.");
    await this.#start.promise;
  }

  stop(): void {
    this.#leaving.abort();
    this.#start.reject(new Error("The call is over."));
    const engine = this.#engine;
    if (!engine) return;
    this.#engine = null;
    engine.stopPlayingStream(this.#viewer.streamId);
    engine.logoutRoom(this.#viewer.roomId);
    engine.destroyEngine();
    this.#screen.video.srcObject = null;
    this.#screen.sound.srcObject = null;
  }

  #renewal(engine: ZegoExpressEngine, first: ViewerToken): Renewal {
    const use = (token: string): void => void engine.renewToken(token, this.#viewer.roomId);
    const renew = (): Promise<ViewerToken> => this.#watching.renew();
    const onWrongClock = (): void => this.#watching.onWrongClock();
    return new Renewal(first, { renew, use, onWrongClock }, this.#leaving.signal);
  }

  #listen(engine: ZegoExpressEngine, renewal: Renewal): void {
    const { streamId } = this.#viewer;
    engine.on("roomStreamUpdate", (_, change, streams) => {
      if (!streams.some(({ streamID }) => streamID === streamId)) return;
      if (change === "ADD") void this.#show(engine);
      else this.#lose();
    });
    engine.on("playerStateUpdate", ({ streamID, state }) => {
      if (streamID === streamId && state === "NO_PLAY") this.#lose();
    });
    engine.on("tokenWillExpire", () => renewal.hint());
    engine.on("roomStateChanged", (_, reason) => {
      if (reason === "RECONNECT_FAILED" || reason === "KICKOUT" || reason === "LOGIN_FAILED") this.#lose();
    });
  }

  async #show(engine: ZegoExpressEngine): Promise<void> {
    try {
      const stream = await engine.startPlayingStream(this.#viewer.streamId);
      if (this.#engine !== engine) return;
      for (const track of stream.getTracks()) track.addEventListener("ended", () => this.#lose());
      this.#screen.video.srcObject = stream;
      this.#screen.sound.srcObject = stream;
      this.#start.resolve();
    } catch {
      this.#lose();
    }
  }

  /** The stream has ended, or never came. */
  #lose(): void {
    this.#start.reject(new Error("The picture did not come."));
    this.#loss.resolve();
  }
}

/** Within `try`, without which webpack builds nothing where the optional package is missing. */
async function loadSdk(): Promise<typeof import("zego-express-engine-webrtc")> {
  try {
    return await import("zego-express-engine-webrtc");
  } catch (cause) {
    throw new Error("This deployment is watched by zego-express-engine-webrtc, which is not there.", { cause });
  }
}
