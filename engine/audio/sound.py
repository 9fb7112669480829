"""PCM between the source of a drive and the clock that plays it, and on to the 48 kHz track."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any

import av
import av.filter
import numpy as np
from numpy.typing import NDArray

TRACK_RATE = 48_000
TICK_S = 0.02
TICK_SAMPLES = TRACK_RATE // 50
PREBUFFER_S = 0.06
MAX_BUFFERED_S = 120.0
SAMPLE_BYTES = 2
FILTER_LEAD_SAMPLES = 64

Samples = NDArray[np.int16]


class VoiceChannel(IntEnum):
    """Which part of a stereo input is the voice."""

    MIXED = 0
    LEFT = 1
    RIGHT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PcmFormat:
    """Signed 16-bit little-endian PCM, channels interleaved."""

    sample_rate: int
    channels: int = 1
    voice_channel: VoiceChannel = VoiceChannel.MIXED

    @property
    def frame_bytes(self) -> int:
        """The size of one sample of every channel."""
        return SAMPLE_BYTES * self.channels

    @property
    def bytes_per_second(self) -> int:
        return self.frame_bytes * self.sample_rate

    def to_mono(self, pcm: bytes) -> Samples:
        """Return the voice in whole frames of this format."""
        samples: Samples = np.frombuffer(pcm, "<i2")
        if self.channels == 1:
            return samples
        left, right = samples[0::2], samples[1::2]
        match self.voice_channel:
            # Copy, since libav accepts only contiguous samples.
            case VoiceChannel.LEFT:
                return left.copy()
            case VoiceChannel.RIGHT:
                return right.copy()
            case VoiceChannel.MIXED:
                return ((left.astype(np.int32) + right) // 2).astype(np.int16)


class InputEnd(Enum):
    """How the input of a drive ended."""

    STOPPED = "stopped"
    LOST = "lost"
    DISCARDED = "discarded"


class PcmInput:
    """The bounded input of one drive: one writer, and the clock as the only reader."""

    def __init__(self, pcm_format: PcmFormat) -> None:
        self.format = pcm_format
        self.end: InputEnd | None = None
        self.received_samples = 0
        self._pcm = bytearray()
        self._listened = 0
        self._limit = int(MAX_BUFFERED_S * pcm_format.bytes_per_second)
        self._room = asyncio.Event()
        self._room.set()

    @property
    def buffered_s(self) -> float:
        return len(self._pcm) / self.format.bytes_per_second

    async def write(self, pcm: bytes) -> None:
        """Append whole frames; waits while two minutes are unplayed, drops them after the end."""
        self.received_samples += len(pcm) // self.format.frame_bytes
        await self._room.wait()
        if self.end is None:
            self._pcm += pcm
            self._update_room()

    def close(self, end: InputEnd) -> None:
        """End the input; buffered audio is still played unless discarded."""
        if self.end is None or end is InputEnd.DISCARDED:
            self.end = end
        if end is InputEnd.DISCARDED:
            self._pcm.clear()
        self._room.set()

    def read(self, seconds: float) -> Samples:
        """Return the next mono samples at the input's own rate, fewer at the end."""
        size = round(seconds * self.format.sample_rate) * self.format.frame_bytes
        pcm = bytes(self._pcm[:size])
        del self._pcm[:size]
        self._listened = max(0, self._listened - size)
        self._update_room()
        return self.format.to_mono(pcm)

    def listen(self, seconds: float) -> tuple[Samples, float]:
        """Return what is new within the next seconds, and how far ahead of reading it is."""
        start = self._listened
        end = min(
            len(self._pcm), round(seconds * self.format.sample_rate) * self.format.frame_bytes
        )
        self._listened = max(start, end)
        pcm = bytes(self._pcm[start:end])
        return self.format.to_mono(pcm), start / self.format.bytes_per_second

    def _update_room(self) -> None:
        if len(self._pcm) < self._limit or self.end is not None:
            self._room.set()
        else:
            self._room.clear()


class Resampler:
    """Mono samples of one rate at another.

    PyAV's own keeps a pool of threads, one per core, for its whole life.
    """

    def __init__(self, *, source_rate: int, rate: int) -> None:
        self._source_rate = source_rate
        self._graph = av.filter.Graph()
        self._graph.threads = 1
        mono = {"sample_fmt": "s16", "channel_layout": "mono"}
        self._graph.link_nodes(
            self._graph.add("abuffer", sample_rate=str(source_rate), **mono),
            self._graph.add(
                "aformat", sample_rates=str(rate), sample_fmts="s16", channel_layouts="mono"
            ),
            self._graph.add("abuffersink"),
        ).configure()

    def push(self, samples: Samples) -> list[Samples]:
        """Return the output for some more samples."""
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = self._source_rate
        self._graph.push(frame)
        return list(self._pull())

    def flush(self) -> list[Samples]:
        """Return what was held back; nothing may be pushed afterwards."""
        self._graph.push(None)
        return list(self._pull())

    def _pull(self) -> Iterator[Samples]:
        with suppress(BlockingIOError, EOFError):
            while True:
                frame = self._graph.pull()
                assert isinstance(frame, av.AudioFrame)
                yield read_mono(frame)


class TrackResampler:
    """Streams mono samples of one rate into ticks of the track, 960 samples each."""

    def __init__(self, sample_rate: int) -> None:
        self._resampler = Resampler(source_rate=sample_rate, rate=TRACK_RATE)
        # The filter holds back up to 48 samples, so a small lead fills every tick but the last.
        self._pending = np.zeros(FILTER_LEAD_SAMPLES, np.int16)

    def push(self, samples: Samples) -> Samples:
        """Return the tick for 20 ms of samples."""
        return self._take(self._resampler.push(samples))

    def flush(self) -> Samples:
        """Return the last tick: what is still held back, then silence."""
        return self._take(self._resampler.flush())

    def _take(self, resampled: list[Samples]) -> Samples:
        self._pending = np.concatenate([self._pending, *resampled])
        tick, self._pending = self._pending[:TICK_SAMPLES], self._pending[TICK_SAMPLES:]
        return lengthen(tick, TICK_SAMPLES)


def read_mono(frame: av.AudioFrame) -> Samples:
    """Return the samples of a mono frame without copying; its buffer may be larger."""
    # A plane is a buffer, which the type checker does not know.
    plane: Any = frame.planes[0]
    return np.frombuffer(plane, np.int16, frame.samples)


def lengthen(samples: Samples, count: int) -> Samples:
    """Return at least so many samples, padded with silence."""
    missing = count - len(samples)
    return np.concatenate([samples, np.zeros(missing, np.int16)]) if missing > 0 else samples
