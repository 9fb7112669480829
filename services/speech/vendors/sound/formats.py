"""Detects the audio format of an answer: by its first bytes, else by its media type."""

import codecs
from dataclasses import dataclass
from email.message import Message

import numpy as np

HEAD_BYTES = 32
"""Enough for every format except MPEG audio without a tag, which needs `MPEG_BYTES`."""
NOISE_BYTES = 512
"""Enough to tell samples from other bytes: 11 ms at 24 kHz."""
MPEG_BYTES = 1_500
"""More than one frame and the header of the next."""

RATES = range(8_000, 192_001)
MAX_CHANNELS = 8

_MAGIC = {
    b"OggS": "ogg",
    b"fLaC": "flac",
    b"\x1aE\xdf\xa3": "matroska",
    b"ID3": "mp3",
    b"FORM": "aiff",
    b".snd": "au",
}
_FOREIGN = (
    *(b"RIFF", b"RIFX", b"#!AMR", b"caff", b"MThd", b"ADIF", b"\x30\x26\xb2\x75"),
    *(
        b"\x89PNG",
        b"\xff\xd8\xff",
        b"GIF8",
        b"%PDF",
        b"PK\x03\x04",
        b"\x1f\x8b",
        b"\x28\xb5\x2f\xfd",
    ),
)
_CODES = {
    "pcm": "s16le",
    "x-pcm": "s16le",
    "l16": "s16be",  # RFC 2586 has it big-endian.
    "l24": "s24be",
    "basic": "mulaw",
    "pcmu": "mulaw",
    "mulaw": "mulaw",
    "x-mulaw": "mulaw",
    "pcma": "alaw",
    "alaw": "alaw",
    "x-alaw": "alaw",
    "x-alaw-basic": "alaw",
}
_G711 = frozenset(("mulaw", "alaw"))
_G711_HERTZ = 8_000
_RATE_NAMES = ("rate", "sample_rate", "samplerate", "sample-rate")
_LOUD = 8_000
_ALIKE = 0.3
_MPEG_1_KBPS = {
    2: (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_MPEG_2_KBPS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_MPEG_HERTZ = (44_100, 48_000, 32_000)


class SoundError(Exception):
    """The bytes are not audio that can be played."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pcm:
    """Raw samples; `format` is FFmpeg's name of their encoding."""

    format: str
    rate_hertz: int
    channels: int = 1

    def __post_init__(self) -> None:
        """Raise SoundError for values that no voice has."""
        if self.rate_hertz not in RATES or not 1 <= self.channels <= MAX_CHANNELS:
            raise SoundError(f"it has {self.rate_hertz} Hz and {self.channels} channels")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wav:
    """A WAV file: a header, then samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """A container or a stream of frames; `format` is FFmpeg's name for it."""

    format: str


def container_of(head: bytes) -> Wav | Coded | None:
    """Return the container that begins with these bytes, None if none does.

    Raises SoundError for files that are not audio, or that cannot be decoded as they arrive.
    """
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return Wav()
    for magic, name in _MAGIC.items():
        if head.startswith(magic):
            return Coded(format=name)
    if head.startswith(_FOREIGN) or head[4:8] == b"ftyp":
        raise SoundError("it is not an audio file that can be streamed")
    return _mpeg(head)


def may_be_mpeg(head: bytes) -> bool:
    """Whether the first bytes look like a header of MPEG audio; samples may do so too."""
    return _frame_bytes(head) is not None


def is_raw(media_type: str) -> bool:
    """Whether a media type promises raw samples."""
    main, _, kind = media_type.partition(";")[0].strip().lower().partition("/")
    return main == "audio" and kind in _CODES


def declared(media_type: str, default: Pcm) -> Pcm:
    """Return the raw samples that a media type declares, `default` if it declares none.

    Raises SoundError for a type that is not audio.
    """
    message = Message()
    message["content-type"] = media_type or "application/octet-stream"
    main, kind = message.get_content_maintype(), message.get_content_subtype()
    is_sound = main in ("audio", "video") or kind in _CODES
    if not is_sound and not kind.endswith(("octet-stream", "ogg")):
        raise SoundError(f"it is {main}/{kind}")
    rates = (message.get_param(name) for name in _RATE_NAMES)
    rate = next((str(each) for each in rates if each), "")
    channels = str(message.get_param("channels", "1"))
    if main != "audio" or kind not in _CODES:
        return default
    coding = _CODES[kind]
    if coding == "s16be" and message.get_param("codec") == "pcm":
        coding = "s16le"  # Google's voices use this name and are not big-endian.
    hertz = _G711_HERTZ if coding in _G711 else default.rate_hertz
    if not (rate or str(hertz)).isdecimal() or not channels.isdecimal():
        raise SoundError(f"it is {media_type}")
    return Pcm(format=coding, rate_hertz=int(rate or hertz), channels=int(channels))


def is_text(head: bytes) -> bool:
    """Whether the first bytes are text in UTF-8; samples hardly ever look like it."""
    try:
        # The last character may be cut.
        text, _ = codecs.utf_8_decode(head.removeprefix(codecs.BOM_UTF8), "strict", False)
    except UnicodeDecodeError:
        return False
    return len(text) > 1 and all(each.isprintable() or each in "\t\r\n" for each in text)


def is_noise(head: bytes) -> bool:
    """Whether bytes read as 16-bit samples are noise: loud, and each unlike the one before."""
    samples = np.frombuffer(head[: len(head) // 2 * 2], "<i2").astype(np.float64)
    if len(samples) < NOISE_BYTES // 4:
        return False
    power = float(np.mean(samples**2))
    likeness = float(np.mean(samples[1:] * samples[:-1])) / max(power, 1.0)
    return power > _LOUD**2 and likeness < _ALIKE


def _mpeg(head: bytes) -> Coded | None:
    """Return MPEG audio if a frame begins here and another where it ends."""
    size = _frame_bytes(head)
    if size is None:
        return None
    following = head[size : size + 4]
    is_followed = len(following) < 4 or _frame_bytes(following) is not None
    is_adts = head[1] & 0x06 == 0
    return Coded(format="aac" if is_adts else "mp3") if is_followed else None


def _frame_bytes(head: bytes) -> int | None:
    """Return the length of the MPEG audio frame that begins here, None for anything else."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    if layer == 4:
        return _adts_bytes(head)
    kbps_index, hertz_index = head[2] >> 4, head[2] >> 2 & 3
    if layer == 1 or version == 1 or kbps_index in (0, 15) or hertz_index == 3:
        return None
    is_first = version == 3
    kbps = (_MPEG_1_KBPS[layer] if is_first else _MPEG_2_KBPS)[kbps_index]
    hertz = _MPEG_HERTZ[hertz_index] // {3: 1, 2: 2, 0: 4}[version]
    samples_per_byte = 144 if is_first or layer == 2 else 72
    return samples_per_byte * kbps * 1_000 // hertz + (head[2] >> 1 & 1)


def _adts_bytes(head: bytes) -> int | None:
    if head[1] & 0xF0 != 0xF0 or head[2] >> 2 & 15 > 12 or len(head) < 4:
        return None
    if len(head) < 6:
        return 7
    size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return size if size >= 7 else None
