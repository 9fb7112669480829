"""Load on an engine: many viewers of faces that talk without pause or are idle."""

import asyncio
import time
import wave
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import count as counting

import aiortc.rtcrtpreceiver
import psutil
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpCodecParameters, RTCSessionDescription
from aiortc.codecs.base import Decoder
from aiortc.jitterbuffer import JitterFrame
from av.frame import Frame

from bench.engine.process import SPEECH, MeasuredEngine
from tests.support.engine_cloud import make_viewer_token, open_socket, start

WARM_UP_S = 4.0
CHUNK_S = 0.06
FILES = ("en_kokoro_af_heart_2.wav", "en_kokoro_bf_emma_3.wav", "en_kokoro_am_michael_10.wav")


class Kind(StrEnum):
    """What the faces do, and who renders them."""

    IDLE = "idle"
    TALKING = "talking"
    BLENDSHAPE = "talking, drawn by the viewer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The effect of a load on an engine, for all viewers together unless it says "per".

    The cores are those of the engine's process alone; what this process and all others used is
    reported separately, as a busy machine makes everything more expensive.
    """

    kind: Kind
    sessions: int
    cores: float
    cores_per_session: float
    frames_per_second_per_session: float
    late_share: float
    skipped_ticks: int
    rss_mib: float
    load_generator_cores: float
    other_cores: float


class _Counter(Decoder):
    """Counts frames instead of decoding them."""

    def __init__(self, kind: str, frames: Counter[str]) -> None:
        self._kind = kind
        self._frames = frames

    def decode(self, encoded_frame: JitterFrame) -> list[Frame]:
        self._frames[self._kind] += 1
        return []


async def measure_load(engine: MeasuredEngine, *, kind: Kind, count: int, seconds: float) -> Load:
    """Have so many faces watched for some time, after a warm-up."""
    frames: Counter[str] = Counter()

    def choose_decoder(codec: RTCRtpCodecParameters) -> Decoder:
        return _Counter(codec.mimeType.partition("/")[0], frames)

    aiortc.rtcrtpreceiver.get_decoder = choose_decoder  # type: ignore[attr-defined]  # not exported
    async with AsyncExitStack() as stack:
        for number in range(count):
            task_id = await engine.open_task(f"stream-{number}")
            await stack.enter_async_context(_watching(engine, f"stream-{number}", kind))
            if kind is not Kind.IDLE:
                await stack.enter_async_context(_talking(engine, task_id, number))
        await asyncio.sleep(WARM_UP_S)
        before, seen_before = await engine.health(), frames["video"]
        cpu, own_cpu, all_cpu, started = engine.cpu_s(), _own_s(), _busy_s(), time.monotonic()
        await asyncio.sleep(seconds)
        passed_s = time.monotonic() - started
        cores = (engine.cpu_s() - cpu) / passed_s
        own_cores = (_own_s() - own_cpu) / passed_s
        all_cores = (_busy_s() - all_cpu) / passed_s
        seen = frames["video"] - seen_before
        after = await engine.health()
        painted = after["frames"] - before["frames"]
        return Load(
            kind=kind,
            sessions=count,
            cores=round(cores, 3),
            cores_per_session=round(cores / count, 3),
            frames_per_second_per_session=round(seen / passed_s / count, 2),
            late_share=round((after["late_frames"] - before["late_frames"]) / max(1, painted), 4),
            skipped_ticks=after["skipped_ticks"] - before["skipped_ticks"],
            rss_mib=round(engine.rss_mib(), 1),
            load_generator_cores=round(own_cores, 3),
            other_cores=round(max(0.0, all_cores - cores - own_cores), 3),
        )


def _own_s() -> float:
    times = psutil.Process().cpu_times()
    return float(times.user + times.system)


def _busy_s() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)


@asynccontextmanager
async def _watching(engine: MeasuredEngine, stream_id: str, kind: Kind) -> AsyncIterator[None]:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connected = asyncio.Event()

    @peer.on("connectionstatechange")
    def follow() -> None:
        if peer.connectionState == "connected":
            connected.set()

    peer.addTransceiver("audio", direction="recvonly")
    if kind is Kind.BLENDSHAPE:
        peer.createDataChannel("blendshape", ordered=False, maxRetransmits=0)
    else:
        peer.addTransceiver("video", direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    response = await engine.http.post(
        f"/whep/{stream_id}",
        params={"output": "blendshape" if kind is Kind.BLENDSHAPE else "video"},
        content=peer.localDescription.sdp,
        headers={
            "Content-Type": "application/sdp",
            "Authorization": f"Bearer {make_viewer_token(engine.engine)}",
        },
    )
    response.raise_for_status()
    await peer.setRemoteDescription(RTCSessionDescription(sdp=response.text, type="answer"))
    async with asyncio.timeout(20):
        await connected.wait()
    try:
        yield
    finally:
        await peer.close()


@asynccontextmanager
async def _talking(engine: MeasuredEngine, task_id: str, number: int) -> AsyncIterator[None]:
    feeding = asyncio.create_task(_feed(engine, task_id, number))
    try:
        yield
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)


async def _feed(engine: MeasuredEngine, task_id: str, number: int) -> None:
    """Send speech repeatedly in real time, with a lead of one chunk."""
    with wave.open(str(SPEECH / FILES[number % len(FILES)])) as file:
        rate, pcm = file.getframerate(), file.readframes(file.getnframes())
    size = int(rate * CHUNK_S) * 2
    drive_id, address = await engine.begin_drive(task_id)
    async with open_socket(address) as socket:
        await start(socket, drive_id, SampleRate=rate)
        began = time.monotonic()
        for chunk in counting():
            at = chunk * size % (len(pcm) - size)
            await socket.send(pcm[at - at % 2 :][:size])
            await asyncio.sleep(max(0.0, began + (chunk - 1) * CHUNK_S - time.monotonic()))
