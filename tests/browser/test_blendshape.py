"""The face that a browser draws itself, in a page that has nothing but the engine's module."""

import asyncio
import wave
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Page
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from engine.app import Engine, running
from engine.serving.http import serving_http
from engine.settings import EngineSettings
from tests.support.browser import Browser
from tests.support.engine_cloud import Cloud, Receiver, make_viewer_token

SPEECH = Path(__file__).parents[2] / "tests" / "data" / "speech" / "en_kokoro_af_heart_2.wav"
# A quarter as many pixels each way as it is laid out with: without a GPU, each costs CPU time.
SCREEN: dict[str, Any] = {"viewport": {"width": 512, "height": 512}, "device_scale_factor": 0.25}
# Where Mia's mouth is, and a part of the background, in a picture of 512 by 512.
MOUTH = {"x": 215, "y": 240, "width": 85, "height": 70}
BACKGROUND = {"x": 8, "y": 8, "width": 16, "height": 16}

HTML = """<!doctype html><meta charset="utf-8"><title>Blendshape</title>
<body style="margin:0;background:#333"><canvas id="face" style="width:512px;height:512px"></canvas>
<audio id="sound" autoplay></audio>"""

PLAY = """
async ([engine, stream, token]) => {
  const { attach, findFace } = await import(`${engine}/face/blendshape.js`);
  const connection = new RTCPeerConnection();
  connection.addTransceiver("audio", { direction: "recvonly" });
  const [canvas, sound] = [document.getElementById("face"), document.getElementById("sound")];
  let found;
  const face = attach(connection, canvas, sound, new Promise((resolve) => { found = resolve; }));
  await connection.setLocalDescription();
  const response = await fetch(`${engine}/whep/${stream}?output=blendshape`, {
    method: "POST",
    body: connection.localDescription.sdp,
    headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${token}` },
  });
  if (!response.ok) throw new Error(await response.text());
  found(findFace(response));
  await connection.setRemoteDescription({ type: "answer", sdp: await response.text() });
  await face.ready;
  Object.assign(window, { connection, canvas, face });
}
"""
# Per drawn frame, of which there are some however busy the machine is: how dark a part of the
# picture is, and how loud the sound is.
WATCH = """
async ([part, seconds]) => {
  const copy = new OffscreenCanvas(part.width, part.height);
  const pen = copy.getContext("2d", { willReadFrequently: true });
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 1024;
  context.createMediaStreamSource(document.getElementById("sound").srcObject).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const seen = [];
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end || seen.length < 10) {
    await new Promise(requestAnimationFrame);
    const scale = window.canvas.width / 512;
    const { x, y, width, height } = part;
    const source = [x, y, width, height].map((each) => each * scale);
    pen.drawImage(window.canvas, ...source, 0, 0, width, height);
    const { data } = pen.getImageData(0, 0, width, height);
    const lumas = [];
    let mean = [0, 0, 0];
    for (let at = 0; at < data.length; at += 4) {
      lumas.push(0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2]);
      mean = mean.map((sum, channel) => sum + data[at + channel]);
    }
    lumas.sort((one, other) => one - other);
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, each) => sum + each * each, 0) / samples.length;
    seen.push({
      ms: performance.now(),
      dark: -lumas[Math.floor(lumas.length * 0.03)],
      loud: Math.sqrt(power),
      mean: mean.map((sum) => sum / lumas.length),
    });
  }
  await context.close();
  return seen;
}
"""
LOSE_CONTEXT = """
async () => {
  const extension = window.canvas.getContext("webgl2").getExtension("WEBGL_lose_context");
  const until = (name) => new Promise((done) => window.canvas.addEventListener(name, done));
  const lost = until("webglcontextlost");
  extension.loseContext();
  await lost;
  // Whether it may be restored is known once all have been told of the loss.
  await new Promise((done) => setTimeout(done));
  const restored = until("webglcontextrestored");
  extension.restoreContext();
  await restored;
}
"""
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]


@pytest_asyncio.fixture(loop_scope="session")
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    receiver = Receiver()

    async def show_page(request: Request) -> Response:
        return HTMLResponse(HTML)

    site = Starlette(
        routes=[Route("/hook", receiver.take, methods=["POST"]), Route("/", show_page)]
    )
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(serving_http(site, host="127.0.0.1", port=0))
        receiver.url = f"http://127.0.0.1:{port}"
        settings = EngineSettings(
            port=0,
            drive_port=0,
            app_id=1234567890,
            server_secret="0123456789abcdef0123456789abcdef",
            callback_url=f"{receiver.url}/hook",
            callback_secret="the-callback-secret",
            init_delay_s=0,
            max_late_share=1,
            recordings_dir=tmp_path,
        )
        engine: Engine = await stack.enter_async_context(running(settings))
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=engine.base_url, timeout=20)
        )
        yield Cloud(engine, http, receiver)


async def play(page: Page, cloud: Cloud) -> None:
    await page.goto(cloud.receiver.url)
    token = make_viewer_token(cloud.engine)
    await page.evaluate(PLAY, [cloud.engine.base_url, "stream-1", token])


async def watch(page: Page, part: dict[str, int], seconds: float) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = await page.evaluate(WATCH, [part, seconds])
    return seen


def read_speech() -> tuple[bytes, int, float]:
    with wave.open(str(SPEECH)) as file:
        pcm = file.readframes(file.getnframes())
        return pcm, file.getframerate(), file.getnframes() / file.getframerate()


def correlate(seen: list[dict[str, Any]]) -> float:
    dark = np.array([frame["dark"] for frame in seen])
    loud = np.sqrt([frame["loud"] for frame in seen])
    smooth = np.convolve(loud, np.ones(7) / 7, mode="same")
    return float(np.corrcoef(dark, smooth)[0, 1])


async def test_the_mouth_moves_with_the_sound_and_rests_in_silence(
    browser: Browser, cloud: Cloud
) -> None:
    task_id = await cloud.go_on_air()
    pcm, rate, seconds = read_speech()
    async with browser.page(**SCREEN) as page:
        await play(page, cloud)
        silent = await watch(page, MOUTH, 1)
        watching = asyncio.create_task(watch(page, MOUTH, seconds + 2))
        await cloud.play(task_id, pcm, SampleRate=rate)
        spoken = await watching
        assert len(silent) > 5
        still = np.ptp([frame["dark"] for frame in silent])
        moving = np.ptp([frame["dark"] for frame in spoken])
        assert moving > 3 * still
        assert correlate(spoken) > 0.4
        assert (await cloud.http.get("/healthz")).json()["frames"] == 0


async def test_a_lost_context_and_the_background(browser: Browser, cloud: Cloud) -> None:
    await cloud.go_on_air(
        DigitalHumanConfig={"DigitalHumanId": "parley_mia", "BackgroundColor": "#10c020"}
    )
    async with browser.page(**SCREEN) as page:
        await play(page, cloud)
        for _ in range(2):
            frames = await watch(page, BACKGROUND, 0.5)
            assert frames[-1]["mean"] == pytest.approx([16, 192, 32], abs=3)
            await page.evaluate(LOSE_CONTEXT)
        await page.evaluate("() => window.face.detach()")
