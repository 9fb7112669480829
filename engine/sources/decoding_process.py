"""The process that decodes one MP3 or WAV file from stdin to stdout, and ends.

It has no secrets, because its environment is empty. One that exceeds its memory, time or output is
killed by the system. The output is a byte with the number of channels, 1 or 2, then PCM: 48 kHz,
signed 16-bit little-endian, interleaved.
"""

import os
import resource
from contextlib import suppress
from enum import IntEnum
from itertools import chain
from typing import BinaryIO

import av

from engine.audio.sound import SAMPLE_BYTES, TRACK_RATE

FORMATS = "mp3,wav"
MAX_CHANNELS = 2
MAX_SOUND_S = 600
MAX_OUTPUT_BYTES = 1 + MAX_SOUND_S * TRACK_RATE * SAMPLE_BYTES * MAX_CHANNELS
# Of address space, most of which is the libraries.
MEMORY_BYTES = 384 * 2**20
CPU_S = 15


class Verdict(IntEnum):
    """The exit code; any other means that the system has ended the process."""

    DECODED = 0
    UNKNOWN_FORMAT = 10
    SILENT = 11
    DAMAGED = 12
    TOO_LONG = 13


def main() -> None:
    """Decode, and exit with a `Verdict`."""
    _limit()
    with open(0, "rb") as source, open(1, "wb") as target:
        verdict = _decode(source, target)
        target.flush()
    # No cleanup: a malicious file may have corrupted the process.
    os._exit(verdict)


def _decode(source: BinaryIO, target: BinaryIO) -> Verdict:
    try:
        container = av.open(source, mode="r", options={"format_whitelist": FORMATS})
    except (av.FFmpegError, ValueError):
        return Verdict.UNKNOWN_FORMAT
    if not container.streams.audio:
        return Verdict.SILENT
    codec = container.streams.audio[0].codec_context
    codec.thread_count = 1
    channels = min(codec.channels, MAX_CHANNELS)
    resampler = av.AudioResampler(
        format="s16",
        layout="stereo" if channels == MAX_CHANNELS else "mono",
        rate=TRACK_RATE,
        frame_size=TRACK_RATE,
    )
    left = MAX_SOUND_S * TRACK_RATE
    target.write(bytes([channels]))
    try:
        for frame in chain(container.decode(audio=0), [None]):
            for piece in resampler.resample(frame):
                left -= piece.samples
                if left < 0:
                    return Verdict.TOO_LONG
                target.write(piece.to_ndarray().tobytes())
    except (av.FFmpegError, ValueError, MemoryError):
        return Verdict.DAMAGED
    return Verdict.DECODED


def _limit() -> None:
    """Limit this process; a limit that the system does not support is skipped."""
    for kind, most in (
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, MAX_OUTPUT_BYTES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 16),
    ):
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))


if __name__ == "__main__":
    main()
