"""The web SDK of the vendor's cloud as the page sees it, scripted."""

import json
import re
from typing import Any

from playwright.async_api import Page, Route, expect

from digitalhuman.avatar.v1 import avatar_pb2
from tests.support.gateway_rig import RunningGateway

CALLS = "data-vendor-calls"
TIMEOUT_MS = 60_000
_MODULE = """
const script = __SCRIPT__;
const calls = [];
const note = (name) => {
  calls.push(name);
  document.documentElement.dataset.vendorCalls = calls.join(" ");
};
window.vendorEngines = [];

class ZegoExpressEngine {
  #listeners = {};
  static presetLogConfig() { note("presetLogConfig"); }
  constructor() { note("constructor"); window.vendorEngines.push(this); }
  setLogConfig() { note("setLogConfig"); }
  on(name, listener) { this.#listeners[name] = listener; }
  emit(name, ...data) { this.#listeners[name]?.(...data); }
  async loginRoom(room) {
    note("loginRoom");
    this.room = room;
    this.streamID = room.replace("room_", "stream_");
    if (script.login === "never") await new Promise(() => {});
    if (script.login === "refused") return false;
    setTimeout(() => this.emit("roomStreamUpdate", room, "ADD", [{ streamID: this.streamID }]), 0);
    if (script.clock === "wrong") this.#warn();
    return true;
  }
  async startPlayingStream() {
    note("startPlayingStream");
    if (script.playing === "never") await new Promise(() => {});
    const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 320 });
    canvas.getContext("2d");
    const sound = new AudioContext().createMediaStreamDestination().stream;
    const tracks = [...canvas.captureStream(5).getTracks(), ...sound.getTracks()];
    return (this.stream = new MediaStream(tracks));
  }
  renewToken() { note("renewToken"); if (script.clock === "wrong") this.#warn(); }
  stopPlayingStream() {}
  logoutRoom() {}
  destroyEngine() { note("destroyEngine"); }
  #warn() { setTimeout(() => this.emit("tokenWillExpire", this.room), 1); }
}
export default { ZegoExpressEngine };
export { ZegoExpressEngine };
"""


async def watch_by_sdk(page: Page, gateway: RunningGateway, **script: str) -> None:
    """Have the page watch by the vendor's SDK, which behaves as the script says."""
    gateway.avatars.playback = avatar_pb2.Playback(
        protocol=avatar_pb2.PLAYBACK_PROTOCOL_ZEGO_EXPRESS, url="wss://192.0.2.1/ws"
    )
    module = _MODULE.replace("__SCRIPT__", json.dumps(script))

    async def answer(route: Route) -> None:
        open_to_all = {"Access-Control-Allow-Origin": "*"}
        await route.fulfill(body=module, content_type="text/javascript", headers=open_to_all)

    await page.route("**/zego-express-engine.js", answer)


async def sdk_calls(page: Page) -> list[str]:
    """Return what the page has called so far, in order."""
    return (await page.locator("html").get_attribute(CALLS) or "").split()


async def until_called(page: Page, name: str, *, count: int = 1) -> None:
    """Return when the page has called something so often."""
    often = re.compile(rf"(\b{name}\b.*){{{count}}}")
    # Looked at from here: the page's own timers may be the test's.
    await expect(page.locator("html")).to_have_attribute(CALLS, often, timeout=TIMEOUT_MS)


async def emit(page: Page, name: str, *data: Any) -> None:
    """Have the last engine tell the page of an event; `$stream` stands for its stream's id."""
    await page.evaluate(
        """([name, data]) => {
          const engine = window.vendorEngines.at(-1);
          const told = JSON.parse(JSON.stringify(data).replaceAll("$stream", engine.streamID));
          engine.emit(name, ...told);
        }""",
        [name, list(data)],
    )


async def end_tracks(page: Page) -> None:
    """Have the tracks of the last engine's stream end by themselves."""
    await page.evaluate(
        """() => {
          for (const track of window.vendorEngines.at(-1).stream.getTracks()) {
            track.stop();
            track.dispatchEvent(new Event("ended"));
          }
        }"""
    )
