"""Checks a recording's container by its first bytes, and that a WAV file is complete."""

import io
import struct
from typing import BinaryIO

from gateway.decoding.refusal import cut_short, unsupported

TAKEN = "wav, webm, ogg, mp3, m4a, flac, caf, aiff or raw PCM"
TOLERANCE_S = 0.3
"""A recording this much shorter than declared is complete: writers round, or count the header."""

_TOLERATED_SHARE = 0.25
"""The most that may be missing, as a share: TOLERANCE_S may be half of a short recording."""

_OPEN_LENGTH = 0x7FFF_0000
"""From here on, and with 0, the length is unknown: the recorder could not return to the header."""

_FOREIGN = (
    (b"#!AMR", "AMR"),
    (b"#!SILK", "SILK"),
    (b"\x02#!SILK", "SILK"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA (ASF)"),
    (b".snd", "AU"),
    (b"riff\x2e\x91\xcf\x11", "Wave64"),
    (b"MThd", "MIDI"),
    (b"FLV\x01", "FLV"),
    (b".RMF", "RealMedia"),
    (b"MAC ", "Monkey's Audio"),
    (b"wvpk", "WavPack"),
    (b"\x0b\x77", "AC-3"),
    (b"DSD ", "DSD"),
)
"""Audio formats that are not taken."""


def check_container(source: BinaryIO, size: int) -> None:
    """Raise Refusal for a container that is not taken, or a WAV file without its end."""
    source.seek(0)
    head = source.read(16)
    for magic, name in _FOREIGN:
        if head.startswith(magic):
            raise unsupported("container", f"is {name}; must be {TAKEN}")
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        raise unsupported("container", f"is AVI; must be {TAKEN}")
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        _check_wav(source, size)


def _check_wav(source: BinaryIO, size: int) -> None:
    """Refuse a file that ends before its data does; FFmpeg would decode what is there."""
    second_bytes = 0
    source.seek(12)
    while len(head := source.read(8)) == 8:
        chunk, length = struct.unpack("<4sI", head)
        start = source.tell()
        if chunk == b"fmt ":
            fields = source.read(12)
            second_bytes = struct.unpack_from("<I", fields, 8)[0] if len(fields) == 12 else 0
        if chunk == b"data":
            is_open = length == 0 or length >= _OPEN_LENGTH
            tolerated = min(TOLERANCE_S * second_bytes, _TOLERATED_SHARE * length)
            if not is_open and start + length - size > tolerated:
                raise cut_short()
            return
        source.seek(start + length + length % 2, io.SEEK_SET)
    raise cut_short()
