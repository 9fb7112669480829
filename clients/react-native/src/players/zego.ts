// Plays a stream of the real cloud with the vendor's SDK for phones.

import type { Player, ViewerToken, Watching } from "@parley/client";
import { Renewal } from "@parley/client/players/renewal";
import ZegoExpressEngine, {
  ZegoPlayerState,
  ZegoRoomStateChangedReason,
  ZegoScenario,
  ZegoUpdateType,
  ZegoViewMode,
} from "zego-express-engine-reactnative";
import type { Screen } from "./screen";

/** The SDK writes no logs. */
const NO_LOG = { logPath: "", logSize: 0, logCount: 3 };
const GONE = new Set([
  ZegoRoomStateChangedReason.LoginFailed,
  ZegoRoomStateChangedReason.ReconnectFailed,
  ZegoRoomStateChangedReason.KickOut,
]);

export class ZegoPlayer implements Player {
  /** The SDK has one engine at a time: the next is made when the last is gone. */
  static #destroying: Promise<void> = Promise.resolve();

  readonly lost: Promise<void>;
  readonly #watching: Watching;
  readonly #screen: Screen;
  readonly #leaving = new AbortController();
  readonly #loss = Promise.withResolvers<void>();
  readonly #start = Promise.withResolvers<void>();
  #engine: ZegoExpressEngine | null = null;

  constructor(watching: Watching, screen: Screen) {
    this.#watching = watching;
    this.#screen = screen;
    this.lost = this.#loss.promise;
    // It may be rejected before it is awaited.
    this.#start.promise.catch(() => undefined);
  }

  async play(token: ViewerToken): Promise<void> {
    const { roomId, userId } = this.#watching.viewer;
    const engine = await this.#create(token.appId);
    this.#listen(engine, this.#renewal(engine, token));
    const config = { token: token.token, maxMemberCount: 0, isUserStatusNotify: false };
    const { errorCode } = await engine.loginRoom(roomId, { userID: userId, userName: userId }, config);
    if (errorCode !== 0) throw new Error("The room does not let the viewer in.");
    await this.#start.promise;
  }

  stop(): void {
    this.#leaving.abort();
    this.#start.reject(new Error("The call is over."));
    this.#screen.show(null);
    if (this.#engine) ZegoPlayer.#destroying = ZegoExpressEngine.destroyEngine();
    this.#engine = null;
  }

  async #create(appID: number): Promise<ZegoExpressEngine> {
    await ZegoPlayer.#destroying;
    await ZegoExpressEngine.setEngineConfig({ logConfig: NO_LOG });
    const profile = { appID, appSign: "", scenario: ZegoScenario.StandardVideoCall };
    const engine = await ZegoExpressEngine.createEngineWithProfile(profile);
    this.#engine = engine;
    if (this.#leaving.signal.aborted) {
      // While there was no engine yet.
      this.stop();
      throw new Error("The call is over.");
    }
    return engine;
  }

  #renewal(engine: ZegoExpressEngine, first: ViewerToken): Renewal {
    const { viewer, renew, onWrongClock } = this.#watching;
    const use = (token: string): void => void engine.renewToken(viewer.roomId, token);
    return new Renewal(first, { renew, use, onWrongClock }, this.#leaving.signal);
  }

  #listen(engine: ZegoExpressEngine, renewal: Renewal): void {
    const { streamId } = this.#watching.viewer;
    engine.on("roomStreamUpdate", (_, change, streams) => {
      if (!streams.some(({ streamID }) => streamID === streamId)) return;
      if (change === ZegoUpdateType.Add) this.#show(engine);
      else this.#lose();
    });
    engine.on("playerStateUpdate", (streamID, state) => {
      if (streamID !== streamId) return;
      if (state === ZegoPlayerState.Playing) this.#start.resolve();
      if (state === ZegoPlayerState.NoPlay) this.#lose();
    });
    engine.on("roomTokenWillExpire", () => renewal.hint());
    engine.on("roomStateChanged", (_, reason) => {
      if (GONE.has(reason)) this.#lose();
    });
  }

  /** Plays as soon as there is a view to play into. */
  #show(engine: ZegoExpressEngine): void {
    const attach = (reactTag: number): void => {
      if (this.#engine !== engine) return;
      const view = { reactTag, viewMode: ZegoViewMode.AspectFill, backgroundColor: 0 };
      engine.startPlayingStream(this.#watching.viewer.streamId, view, undefined).catch(() => this.#lose());
    };
    this.#screen.show({ kind: "vendor", attach });
  }

  /** The stream has ended, or never came. */
  #lose(): void {
    this.#start.reject(new Error("The picture did not come."));
    this.#loss.resolve();
  }
}
