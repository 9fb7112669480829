"""Decodes uploaded audio of any usual kind to 16 kHz mono PCM, within bounds."""

import io
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from typing import BinaryIO

import anyio
import anyio.to_thread
import av
from av.container import InputContainer

from gateway.problems import refused
from services.runtime.errors import ServiceError
from services.runtime.pcm import SAMPLE_BYTES, byte_count
from services.runtime.reasons import Reason

RATE_HERTZ = 16_000
RAW_RATES = (16_000, 24_000)
SOURCE_RATES = range(8_000, 192_001)
MAX_CHANNELS = 8
FIELD = "audio"

# FFmpeg reads far more than sound: playlists among it, which would make it open other files.
DEMUXER_OPTIONS = {
    "format_whitelist": "wav,ogg,matroska,webm,mp3,mov,mp4,m4a,aac,flac",
    "codec_whitelist": "aac,flac,mp3,mp3float,opus,vorbis,"
    "pcm_s16le,pcm_s24le,pcm_s32le,pcm_u8,pcm_f32le,pcm_alaw,pcm_mulaw",
    "protocol_whitelist": "",
}
# Formats whose header says how long the sound is; the others are cut by nature.
DECLARING_FORMATS = ("matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "flac")
DECLARED_TOLERANCE_S = 0.3

# RFC 2586 has L16 big-endian.
RAW_TYPES = {"audio/pcm": "s16le", "audio/l16": "s16be"}
CONTAINER_TYPES = frozenset(
    {"application/octet-stream", "application/ogg", "video/mp4", "video/webm"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioLimits:
    """The longest sound, the longest work on it, and how many are worked on at once."""

    duration_s: float = 60.0
    decode_s: float = 10.0
    concurrency: int = 2


class Decoder:
    """Decodes in worker threads."""

    def __init__(self, limits: AudioLimits) -> None:
        self.limits = limits
        self._slots = anyio.CapacityLimiter(limits.concurrency)

    async def decode(self, source: BinaryIO, media_type: str) -> bytes:
        """Return PCM of 16 kHz, mono, signed 16-bit little-endian.

        Raises ServiceError MEDIA_TYPE_UNSUPPORTED, AUDIO_INVALID, AUDIO_FORMAT_UNSUPPORTED or
        AUDIO_TOO_LONG.
        """
        return await anyio.to_thread.run_sync(
            decode, source, media_type, self.limits, limiter=self._slots
        )


def require_audio_type(media_type: str) -> None:
    """Raise ServiceError MEDIA_TYPE_UNSUPPORTED for a type that cannot be sound."""
    kind = _parsed(media_type).get_content_type()
    if not kind.startswith("audio/") and kind not in CONTAINER_TYPES:
        raise refused(
            Reason.MEDIA_TYPE_UNSUPPORTED,
            FIELD,
            "media_type",
            "must be wav, webm, ogg, mp3, m4a, flac or audio/pcm",
        )


def decode(source: BinaryIO, media_type: str, limits: AudioLimits) -> bytes:
    """As Decoder.decode, in this thread."""
    require_audio_type(media_type)
    size = source.seek(0, io.SEEK_END)
    if size == 0:
        raise _invalid("not_empty", "is empty")
    parsed = _parsed(media_type)
    raw_format = RAW_TYPES.get(parsed.get_content_type())
    try:
        if raw_format is None:
            _require_whole_wav(source, size)
            source.seek(0)
            container = av.open(source, mode="r", options=DEMUXER_OPTIONS, metadata_errors="ignore")
        else:
            container = _open_raw(source, size, raw_format, parsed)
        with container:
            return _decode_container(container, limits)
    except (av.FFmpegError, ValueError) as error:
        # ValueError: the resampler's word for a format that changes halfway.
        raise _invalid("decodable", "is damaged, cut short, or not a sound") from error


def _open_raw(source: BinaryIO, size: int, raw_format: str, parsed: Message) -> InputContainer:
    rate = str(parsed.get_param("rate", str(RATE_HERTZ)))
    if rate not in map(str, RAW_RATES):
        raise _unsupported("rate", "raw PCM must have a rate of 16000 or 24000")
    if str(parsed.get_param("channels", "1")) != "1":
        raise _unsupported("channels", "raw PCM must be mono")
    if size % SAMPLE_BYTES:
        raise _invalid("whole_samples", "has an odd number of bytes; samples have two")
    source.seek(0)
    return av.open(
        source, mode="r", format=raw_format, options={"sample_rate": rate, "ch_layout": "mono"}
    )


def _decode_container(container: InputContainer, limits: AudioLimits) -> bytes:
    if not container.streams.audio:
        raise _invalid("has_sound", "has no sound track")
    stream = container.streams.audio[0]
    if stream.rate not in SOURCE_RATES:
        raise _unsupported("rate", "must have a sample rate from 8000 to 192000")
    if not 1 <= stream.channels <= MAX_CHANNELS:
        raise _unsupported("channels", f"must have 1 to {MAX_CHANNELS} channels")
    deadline = time.monotonic() + limits.decode_s
    most_bytes = byte_count(limits.duration_s, RATE_HERTZ)
    pcm = bytearray()
    for chunk in _resampled(container):
        pcm += chunk
        if len(pcm) > most_bytes:
            raise refused(
                Reason.AUDIO_TOO_LONG,
                FIELD,
                "max_duration",
                f"must not be longer than {limits.duration_s:g} seconds",
            )
        if time.monotonic() > deadline:
            raise _invalid("decodable", "takes too long to decode")
    if not pcm:
        raise _invalid("not_empty", "holds no sound")
    _require_declared_length(container, len(pcm) / byte_count(1, RATE_HERTZ))
    return bytes(pcm)


def _resampled(container: InputContainer) -> Iterator[bytes]:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HERTZ)
    for frame in container.decode(audio=0):
        for part in resampler.resample(frame):
            yield part.to_ndarray().tobytes()
    for part in resampler.resample(None):
        yield part.to_ndarray().tobytes()


def _require_declared_length(container: InputContainer, seconds: float) -> None:
    if container.format.name not in DECLARING_FORMATS or len(container.streams) > 1:
        return
    declared = container.duration
    if declared is not None and seconds < declared / av.time_base - DECLARED_TOLERANCE_S:
        raise _cut_short()


def _require_whole_wav(source: BinaryIO, size: int) -> None:
    """Refuse a WAV file that ends before its data does; FFmpeg would take what is there."""
    source.seek(0)
    header = source.read(12)
    if header[:4] != b"RIFF" or header[8:] != b"WAVE":
        return
    while len(head := source.read(8)) == 8:
        chunk, length = struct.unpack("<4sI", head)
        if chunk == b"data":
            # A recorder that could not go back to the header leaves the length open.
            is_open = length == 0 or length >= 0x7FFF_0000
            if not is_open and source.tell() + length > size:
                raise _cut_short()
            return
        source.seek(length + length % 2, io.SEEK_CUR)
    raise _cut_short()


def _parsed(media_type: str) -> Message:
    message = Message()
    message["content-type"] = media_type
    return message


def _invalid(rule: str, description: str) -> ServiceError:
    return refused(Reason.AUDIO_INVALID, FIELD, rule, description)


def _unsupported(rule: str, description: str) -> ServiceError:
    return refused(Reason.AUDIO_FORMAT_UNSUPPORTED, FIELD, rule, description)


def _cut_short() -> ServiceError:
    return _invalid("complete", "ends before the sound that its header declares")
