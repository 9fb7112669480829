"""Decodes a recording in any common format to 16 kHz mono PCM; runs where it may be killed."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import av
from av.audio.frame import AudioFrame
from av.container import InputContainer

from gateway.decoding.containers import TAKEN, TOLERANCE_S, check_container
from gateway.decoding.refusal import Fault, Refusal, cut_short, damaged, unsupported

RATE_HERTZ = 16_000
SAMPLE_BYTES = 2
SOURCE_RATES = range(8_000, 192_001)
MAX_CHANNELS = 8
MAX_STREAMS = 16

CODECS = (
    "aac,alac,flac,mp3,mp3float,opus,vorbis,adpcm_ima_qt,"
    "pcm_s16le,pcm_s24le,pcm_s32le,pcm_u8,pcm_f32le,pcm_f64le,pcm_alaw,pcm_mulaw,"
    "pcm_s16be,pcm_s24be,pcm_s32be,pcm_s8,pcm_f32be,pcm_f64be"
)
# FFmpeg reads far more than audio, for example playlists, which would make it open other files.
DEMUXER_OPTIONS = {
    "format_whitelist": "wav,ogg,matroska,webm,mp3,mov,mp4,m4a,aac,flac,caf,aiff",
    "codec_whitelist": CODECS,
    "protocol_whitelist": "",
    "max_streams": str(MAX_STREAMS),
}
_PACKET_S = 0.05
"""The duration of a packet that declares none."""

# Formats whose header declares the duration; others cannot be checked for completeness.
DECLARING_FORMATS = ("matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "flac", "caf", "aiff")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to decode: `raw_format` is FFmpeg's name for bare samples, empty for a container."""

    raw_format: str
    rate_hertz: int
    longest_s: float


def decode(source: BinaryIO, job: Job) -> bytes:
    """Return PCM of 16 kHz, mono, signed 16-bit little-endian; raises Refusal."""
    size = source.seek(0, io.SEEK_END)
    try:
        if not job.raw_format:
            check_container(source, size)
        source.seek(0)
        with _opened(source, job) as container:
            return _decode(container, job.longest_s)
    except Refusal:
        raise
    except Exception as error:
        # PyAV raises nearly any exception for unexpected input.
        raise damaged() from error


def _opened(source: BinaryIO, job: Job) -> InputContainer:
    if not job.raw_format:
        return av.open(source, mode="r", options=DEMUXER_OPTIONS, metadata_errors="ignore")
    options = {"sample_rate": str(job.rate_hertz), "ch_layout": "mono"}
    return av.open(source, mode="r", format=job.raw_format, options=options)


def _decode(container: InputContainer, longest_s: float) -> bytes:
    if not container.streams.audio:
        raise Refusal(Fault.INVALID, "has_sound", "has no sound track")
    stream = container.streams.audio[0]
    codec = stream.codec_context
    if codec is None or codec.name not in CODECS.split(","):
        name = codec.name.upper() if codec is not None else "unknown"
        raise unsupported("codec", f"has a sound track of the codec {name}; must be {TAKEN}")
    if codec.sample_rate not in SOURCE_RATES:
        raise unsupported("rate", "must have a sample rate from 8000 to 192000")
    if not 1 <= codec.channels <= MAX_CHANNELS:
        raise unsupported("channels", f"must have 1 to {MAX_CHANNELS} channels")
    codec.thread_count = 1
    most_bytes = int(longest_s * RATE_HERTZ) * SAMPLE_BYTES
    pcm = bytearray()
    for chunk in _resampled(container):
        pcm += chunk
        if len(pcm) > most_bytes:
            raise Refusal(
                Fault.TOO_LONG, "max_duration", f"must not be longer than {longest_s:g} seconds"
            )
    if not pcm:
        raise Refusal(Fault.INVALID, "not_empty", "holds no sound")
    _check_declared_length(container, len(pcm) / (RATE_HERTZ * SAMPLE_BYTES))
    return bytes(pcm)


def _resampled(container: InputContainer) -> Iterator[memoryview]:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HERTZ)
    for frame in _frames(container):
        for part in resampler.resample(frame):
            yield memoryview(part.planes[0])[: part.samples * SAMPLE_BYTES]
    for part in resampler.resample(None):
        yield memoryview(part.planes[0])[: part.samples * SAMPLE_BYTES]


def _frames(container: InputContainer) -> Iterator[AudioFrame]:
    """Yield the frames; packets that cannot be decoded, as at a cut, are skipped.

    Raises av.InvalidDataError when more is skipped than a recording may lack.
    """
    lacking_s = 0.0
    has_sound = False
    for packet in container.demux(audio=0):
        try:
            frames = packet.decode()
        except av.InvalidDataError:
            duration, unit = packet.duration, packet.time_base
            lacking_s += float(duration * unit) if duration and unit else _PACKET_S
            if lacking_s > TOLERANCE_S:
                raise
            continue
        for frame in frames:
            has_sound = True
            yield frame
    if lacking_s and not has_sound:
        raise damaged()


def _check_declared_length(container: InputContainer, seconds: float) -> None:
    if container.format.name not in DECLARING_FORMATS or len(container.streams) > 1:
        return
    declared = container.duration
    if declared is not None and seconds < declared / av.time_base - TOLERANCE_S:
        raise cut_short()
