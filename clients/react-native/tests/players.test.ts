// The two ways to see the digital human, over the libraries' JavaScript side.

import type { ViewerToken, Watching } from "@parley/client";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createPlayer } from "../src/players/create_player";
import type { Picture } from "../src/players/screen";
import { Queue } from "./queue";
import { connections } from "./native/webrtc";
import type FakeSdk from "./native/zego";
import ZegoExpressEngine, {
  ZegoPlayerState,
  ZegoRoomStateChangedReason,
  ZegoUpdateType,
} from "zego-express-engine-reactnative";

/** What stands for the SDK, with what it is asked and what it reports. */
const sdk = ZegoExpressEngine as unknown as typeof FakeSdk;

class FakeScreen {
  readonly shown = new Queue<Picture | "nothing">();

  show(picture: Picture | null): void {
    this.shown.put(picture ?? "nothing");
  }
}

function watching(protocol: ViewerToken["playback"]["protocol"], url: string): Watching {
  const token: ViewerToken = { token: "04token", appId: 7, playback: { protocol, url }, lifetimeMs: 600_000, clockAheadMs: 0 };
  const viewer = { userId: "user_1", roomId: "room_1", streamId: "stream_1" };
  return { viewer, token, renew: async () => token, onWrongClock: () => undefined };
}

describe("The engine's stream", () => {
  let server: Server;
  const requests = new Queue<{ method: string | undefined; headers: IncomingHttpHeaders }>();

  beforeEach(async () => {
    server = createServer(({ method, headers }, response) => {
      requests.put({ method, headers });
      if (method === "POST") response.writeHead(201, { Location: "/whep/stream_1/viewer_1" }).end("v=0 answer");
      else response.writeHead(200).end();
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
  });
  afterEach(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  });

  test("is asked for with the token, shown, and left", async () => {
    const screen = new FakeScreen();
    const watched = watching("WHEP", `http://127.0.0.1:${(server.address() as AddressInfo).port}/whep/stream_1`);
    const player = await createPlayer(watched, screen);
    await player.play(watched.token);
    const { method, headers } = await requests.take();
    expect(method).toBe("POST");
    expect(headers).toMatchObject({ authorization: "Bearer 04token", "content-type": "application/sdp" });
    expect(await screen.shown.take()).toEqual({ kind: "stream", url: "stream of the engine" });

    player.stop();
    expect(await screen.shown.take()).toBe("nothing");
    expect((await requests.take()).method).toBe("DELETE");
    expect(connections[0]?.connectionState).toBe("closed");
  });

  test("is lost when its connection fails", async () => {
    const watched = watching("WHEP", `http://127.0.0.1:${(server.address() as AddressInfo).port}/whep/stream_1`);
    const player = await createPlayer(watched, new FakeScreen());
    await player.play(watched.token);
    connections[0]?.turn("failed");
    await player.lost;
    player.stop();
    while ((await requests.take()).method !== "DELETE");
  });
});

describe("The vendor's cloud", () => {
  const watched = watching("ZEGO_EXPRESS", "wss://vendor.example");
  beforeEach(() => sdk.calls.splice(0));

  async function start() {
    const screen = new FakeScreen();
    const player = await createPlayer(watched, screen);
    const playing = player.play(watched.token);
    playing.catch(() => undefined);
    while (sdk.calls.at(-1)?.[0] !== "loginRoom") await new Promise(setImmediate);
    return { screen, player, playing };
  }

  test("is entered with the token, and plays into the view that the app makes for it", async () => {
    const { screen, player, playing } = await start();
    expect(sdk.calls).toEqual([
      ["setEngineConfig", { logConfig: { logPath: "", logSize: 0, logCount: 3 } }],
      ["createEngineWithProfile", { appID: 7, appSign: "", scenario: 4 }],
      ["loginRoom", "room_1", { userID: "user_1", userName: "user_1" }, { token: "04token", maxMemberCount: 0, isUserStatusNotify: false }],
    ]);
    sdk.report("roomStreamUpdate", "room_1", ZegoUpdateType.Add, [{ streamID: "another" }]);
    expect(screen.shown.size).toBe(0);
    sdk.report("roomStreamUpdate", "room_1", ZegoUpdateType.Add, [{ streamID: "stream_1" }]);
    const picture = await screen.shown.take();
    if (picture === "nothing" || picture.kind !== "vendor") throw new Error("There is no picture of the vendor's.");
    picture.attach(42);
    expect(sdk.calls.at(-1)).toEqual(["startPlayingStream", "stream_1", expect.objectContaining({ reactTag: 42 }), undefined]);
    sdk.report("playerStateUpdate", "stream_1", ZegoPlayerState.Playing);
    await playing;

    sdk.report("roomStateChanged", "room_1", ZegoRoomStateChangedReason.KickOut);
    await player.lost;
    player.stop();
    expect(await screen.shown.take()).toBe("nothing");
    expect(sdk.calls.at(-1)).toEqual(["destroyEngine"]);
  });

  test("is left before its picture has come", async () => {
    const { player, playing } = await start();
    player.stop();
    await expect(playing).rejects.toThrow("The call is over.");
    // The next has the SDK's one engine.
    const next = await start();
    next.player.stop();
    await expect(next.playing).rejects.toThrow("The call is over.");
  });
});
