"""The binary frames of Volcengine's speech services.

A frame is a header, then what its flags and its type announce (a sequence number, an error code, an
event with the id that it belongs to), and a payload with its size; all numbers are big-endian.
"""

import gzip
import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any

from services.speech.vendors.documents import parse_json

VERSION_AND_HEADER_SIZE = 0x11
"""Version 1, a header of one word."""
EVENTS_WITHOUT_ID = (1, 2)
"""Events up that belong to the whole connection."""
_JSON, _GZIP = 1, 1


class FrameType(IntEnum):
    """What a frame holds."""

    REQUEST = 1
    SOUND = 2
    RESPONSE = 9
    SPEECH = 11
    ERROR = 15


class Flag(IntFlag):
    """What is added to a frame."""

    SEQUENCE = 1
    LAST = 2
    EVENT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A frame; `event` is 0 for none, `code` that of an error, `subject_id` whose event it is."""

    type: int
    payload: bytes = b""
    is_last: bool = False
    event: int = 0
    subject_id: str = ""
    code: int = 0

    @classmethod
    def of(cls, document: Mapping[str, Any], *, event: int = 0, subject_id: str = "") -> "Frame":
        """A request."""
        payload = json.dumps(document, ensure_ascii=False).encode()
        return cls(type=FrameType.REQUEST, payload=payload, event=event, subject_id=subject_id)

    @property
    def document(self) -> dict[str, Any]:
        """The payload as a JSON object; raises ValueError if it is none."""
        document = parse_json(self.payload)
        if not isinstance(document, dict):
            raise ValueError("another value than an object")
        return document

    def encode(self) -> bytes:
        """Return the frame as it is sent, uncompressed."""
        flags = (Flag.LAST if self.is_last else 0) | (Flag.EVENT if self.event else 0)
        serialization = _JSON if self.type in (FrameType.REQUEST, FrameType.RESPONSE) else 0
        kind = self.type << 4 | flags
        header = bytes((VERSION_AND_HEADER_SIZE, kind, serialization << 4, 0))
        code = struct.pack(">I", self.code) if self.type == FrameType.ERROR else b""
        return header + code + self._encoded_event() + _sized(self.payload)

    def _encoded_event(self) -> bytes:
        if not self.event:
            return b""
        has_id = self.event not in EVENTS_WITHOUT_ID
        return struct.pack(">i", self.event) + (_sized(self.subject_id.encode()) if has_id else b"")


def decode(message: bytes) -> Frame:
    """Return the frame of a message; raises ValueError if it is none."""
    try:
        return _decode(message)
    except (struct.error, IndexError, OSError, EOFError, zlib.error) as error:
        raise ValueError(f"a frame that does not parse: {type(error).__name__}") from None


def _decode(message: bytes) -> Frame:
    kind, flags = message[1] >> 4, message[1] & 0xF
    is_compressed = message[2] & 0xF == _GZIP
    rest = message[4 * (message[0] & 0xF) :]
    code, event, subject_id = 0, 0, b""
    if kind == FrameType.ERROR:
        (code,), rest = struct.unpack_from(">I", rest), rest[4:]
    elif flags & Flag.SEQUENCE:
        rest = rest[4:]
    if flags & Flag.EVENT:
        (event,), rest = struct.unpack_from(">i", rest), rest[4:]
        if event not in EVENTS_WITHOUT_ID:
            subject_id, rest = _take(rest)
    payload, _ = _take(rest)
    return Frame(
        type=kind,
        payload=gzip.decompress(payload) if is_compressed and payload else payload,
        is_last=bool(flags & Flag.LAST),
        event=event,
        subject_id=subject_id.decode(),
        code=code,
    )


def _sized(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _take(data: bytes) -> tuple[bytes, bytes]:
    """Return what a size announces, and what follows it."""
    (size,) = struct.unpack_from(">I", data)
    end = 4 + size
    if end > len(data):
        raise ValueError("a frame that is cut short")
    return data[4:end], data[end:]
