"""Server-sent events: the name and data of each event in a byte stream."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

LONGEST_LINE = LONGEST_EVENT = 1 << 20
_LINE_END = re.compile(rb"\r\n|\n|\r(?!$)")
"""A carriage return at the end of a chunk may be half of a line ending."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class SseError(Exception):
    """The stream is not made of server-sent events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent:
    """One event; most have no name."""

    data: str
    name: str = ""


async def server_events(chunks: AsyncIterator[bytes]) -> AsyncIterator[ServerEvent]:
    """Yield every event that has data; raises SseError.

    Lines are split as bytes, so that a character split between chunks is never decoded in part.
    """
    data: list[str] = []
    name, size = "", 0
    async for line in _lines(chunks):
        if not line:
            if data:
                yield ServerEvent(data="\n".join(data), name=name)
            data, name, size = [], "", 0
        elif line.startswith(b"data:"):
            data.append(_value(line[5:]))
            size += len(line)
            if size > LONGEST_EVENT:
                raise SseError("an event without an end")
        elif line.startswith(b"event:"):
            name = _value(line[6:])
    if data:
        yield ServerEvent(data="\n".join(data), name=name)


def _value(field: bytes) -> str:
    try:
        return field.removeprefix(b" ").decode()
    except UnicodeDecodeError:
        raise SseError("data that is not UTF-8") from None


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    pending = b""
    is_first = True
    async for chunk in chunks:
        *lines, pending = _LINE_END.split(pending + chunk)
        for line in lines:
            yield line.removeprefix(_BYTE_ORDER_MARK) if is_first else line
            is_first = False
        if len(pending) > LONGEST_LINE:
            raise SseError("a line without an end")
    if pending:
        yield pending.removesuffix(b"\r")
