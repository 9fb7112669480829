"""The messages of Azure's speech services: headers, then a body of text or sound."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

TICKS_PER_S = 10_000_000
"""Azure's times are in 100 ns."""

_END_OF_HEADERS = "\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What Azure says; `path` is in lower case, and empty in a message without one."""

    path: str
    request_id: str
    body: str | bytes


def encode_text(path: str, request_id: str, body: str, content_type: str) -> str:
    """Return a message whose body is text."""
    return _headers(path, request_id, content_type) + _END_OF_HEADERS + body


def encode_sound(path: str, request_id: str, body: bytes, content_type: str) -> bytes:
    """Return a message whose body is sound; an empty one ends the sound."""
    headers = f"{_headers(path, request_id, content_type)}\r\n".encode()
    return len(headers).to_bytes(2, "big") + headers + body


def decode(message: str | bytes) -> Message:
    """Return the parts of a message; raises ValueError if it has none."""
    if isinstance(message, str):
        head, separator, body = message.partition(_END_OF_HEADERS)
        if not separator:
            raise ValueError("no end of the headers")
        return _message(head, body)
    length = int.from_bytes(message[:2], "big")
    if len(message) < 2 + length:
        raise ValueError("shorter than its headers")
    return _message(message[2 : 2 + length].decode(), message[2 + length :])


def _message(head: str, body: str | bytes) -> Message:
    headers = _parsed(head)
    return Message(
        path=headers.get("path", "").lower(),
        request_id=headers.get("x-requestid", "").lower(),
        body=body,
    )


def _parsed(head: str) -> Mapping[str, str]:
    lines = (line.partition(":") for line in head.splitlines())
    return {name.strip().lower(): value.strip() for name, _, value in lines}


def _headers(path: str, request_id: str, content_type: str) -> str:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return "\r\n".join(
        (
            f"Path: {path}",
            f"X-RequestId: {request_id}",
            f"X-Timestamp: {now}",
            f"Content-Type: {content_type}",
        )
    )
