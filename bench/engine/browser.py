"""An engine's delays as a viewer sees them, measured in headless Chromium."""

import asyncio
import time
import wave
from collections.abc import Sequence
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from bench.engine.process import SPEECH, MeasuredEngine
from tests.support.browser import Browser
from tests.support.engine_cloud import make_viewer_token, open_socket, start, stop

FILES = (
    "en_kokoro_af_heart_2.wav",
    "en_kokoro_am_puck_11.wav",
    "zh_kokoro_zf_xiaoxiao_0.wav",
    "cards_005.wav",
)
CHUNK_S = 0.02
GRID_MS = 5.0
MAX_SHIFT_MS = 300.0
LOUD = 0.02
PAGE = """<!doctype html><title>bench</title><body style="margin:0">
<video id="player" autoplay playsinline width="512" height="512"></video>"""
# Brightness of the mouth per frame, at the time it is shown, and loudness per 5 ms of sound, at the
# time the audio graph has it; all times are milliseconds since 1970.
WATCH = """
async ([url, token]) => {
  const seen = { mouth: [], sound: [] };
  window.seen = seen;
  const peer = new RTCPeerConnection();
  const stream = new MediaStream();
  peer.ontrack = (event) => { stream.addTrack(event.track); player.srcObject = stream; };
  peer.addTransceiver("audio", { direction: "recvonly" });
  peer.addTransceiver("video", { direction: "recvonly" });
  const asked = performance.now();
  const canvas = document.createElement("canvas");
  canvas.width = 86; canvas.height = 70;
  const paper = canvas.getContext("2d", { willReadFrequently: true });
  const look = (now, frame) => {
    seen.firstFrameMs ??= performance.now() - asked;
    paper.drawImage(player, 214, 240, 86, 70, 0, 0, 86, 70);
    const pixels = paper.getImageData(0, 0, 86, 70).data;
    const greens = new Uint8Array(86 * 70);
    for (let i = 0; i < greens.length; i++) greens[i] = pixels[i * 4 + 1];
    greens.sort();
    seen.mouth.push([performance.timeOrigin + frame.expectedDisplayTime, -greens[180]]);
    player.requestVideoFrameCallback(look);
  };
  player.requestVideoFrameCallback(look);
  await peer.setLocalDescription(await peer.createOffer());
  const answer = await fetch(url, {
    method: "POST", body: peer.localDescription.sdp,
    headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${token}` },
  });
  if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
  await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  await player.play();
  const context = new AudioContext({ latencyHint: "interactive" });
  const code = `registerProcessor("meter", class extends AudioWorkletProcessor {
    constructor() { super(); this.sum = 0; this.count = 0; }
    process([input]) {
      for (const sample of input[0] ?? []) { this.sum += sample * sample; this.count++; }
      if (this.count >= 240) {
        this.port.postMessage(Math.sqrt(this.sum / this.count));
        this.sum = 0; this.count = 0;
      }
      return true;
    }
  });`;
  await context.audioWorklet.addModule(
    URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  const meter = new AudioWorkletNode(context, "meter");
  meter.port.onmessage = ({ data }) => seen.sound.push([Date.now(), data]);
  context.createMediaStreamSource(stream).connect(meter);
}
"""

Series = NDArray[np.float64]


async def measure_times(engine: MeasuredEngine, *, utterances: int) -> dict[str, Any]:
    """Have some utterances spoken and watched; return medians in milliseconds."""
    task_id = await engine.open_task("stream-b")
    sound_after: list[float] = []
    offsets: list[float] = []
    async with (
        Browser.launched() as browser,
        browser.page(viewport={"width": 512, "height": 512}, device_scale_factor=1) as page,
    ):
        address = f"{engine.engine.base_url}/bench.html"
        await page.route(address, lambda route: route.fulfill(content_type="text/html", body=PAGE))
        await page.goto(address)
        whep = f"{engine.engine.base_url}/whep/stream-b"
        await page.evaluate(WATCH, [whep, make_viewer_token(engine.engine)])
        await page.wait_for_function("window.seen.mouth.length > 50")
        for number in range(utterances):
            sent_ms = await _say(engine, task_id, FILES[number % len(FILES)])
            await asyncio.sleep(1.2)
            seen = await page.evaluate("window.seen")
            sound, mouth = np.array(seen["sound"]), np.array(seen["mouth"])
            heard = sound[(sound[:, 0] > sent_ms) & (sound[:, 1] > LOUD), 0]
            sound_after.append(float(heard[0]) - sent_ms)
            offsets.append(_find_offset(sound, mouth, sent_ms))
        first_frame_ms = seen["firstFrameMs"]
    return {
        "utterances": utterances,
        "first_frame_ms": round(first_frame_ms),
        **_quartiles("pcm_to_audible_ms", sound_after),
        **_quartiles("audio_minus_video_ms", offsets),
        "audio_minus_video_ms_all": [round(offset) for offset in offsets],
        "load_average_after": round(psutil.getloadavg()[0], 2),
    }


def _quartiles(name: str, values: Sequence[float]) -> dict[str, int]:
    low, middle, high = np.percentile(values, [25, 50, 75])
    return {f"{name}_p25": round(low), f"{name}_p50": round(middle), f"{name}_p75": round(high)}


async def _say(engine: MeasuredEngine, task_id: str, name: str) -> float:
    """Play the voiced part of a recording in real time; return when its first sample was sent."""
    with wave.open(str(SPEECH / name)) as file:
        rate = file.getframerate()
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    voiced = np.flatnonzero(np.abs(samples.astype(np.int32)) > LOUD * 32768 * 2)
    pcm = samples[voiced[0] : voiced[-1]].tobytes()
    size = int(rate * CHUNK_S) * 2
    drive_id, address = await engine.begin_drive(task_id)
    async with open_socket(address) as socket:
        await start(socket, drive_id, SampleRate=rate)
        began, sent_ms = time.monotonic(), time.time() * 1000
        for number, at in enumerate(range(0, len(pcm), size)):
            await socket.send(pcm[at : at + size])
            await asyncio.sleep(max(0.0, began + (number + 1) * CHUNK_S - time.monotonic()))
        await stop(socket, drive_id)
    return sent_ms


def _find_offset(sound: Series, mouth: Series, since_ms: float) -> float:
    """Return how far the sound lags the mouth where both match best."""
    grid = np.arange(since_ms, min(sound[-1, 0], mouth[-1, 0]), GRID_MS)
    opening = _smooth(_sample(mouth, grid))
    level = _smooth(_sample(sound, grid))
    reach = round(MAX_SHIFT_MS / GRID_MS)
    inner = slice(reach, len(grid) - reach)
    scores: Sequence[float] = [
        float(np.corrcoef(np.roll(opening, shift)[inner], level[inner])[0, 1])
        for shift in range(-reach, reach + 1)
    ]
    return (int(np.argmax(scores)) - reach) * GRID_MS


def _sample(series: Series, grid: Series) -> Series:
    """Return what was last shown or heard at each point in time."""
    at = np.searchsorted(series[:, 0], grid, side="right") - 1
    values: Series = series[np.clip(at, 0, len(series) - 1), 1]
    return values


def _smooth(values: Series) -> Series:
    kernel = np.hanning(17)
    smoothed: Series = np.convolve(values, kernel / kernel.sum(), "same")
    return smoothed
