"""Server-sent events: the data of each event in a stream of bytes."""

from collections.abc import AsyncIterator

LONGEST_LINE = 1 << 20


class SseError(Exception):
    """The stream is not server-sent events."""


async def event_data(chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Yield the data of every event; raises SseError.

    Lines are cut as bytes, so that a character split between chunks is never seen in part.
    """
    data: list[str] = []
    async for line in _lines(chunks):
        if line.startswith(b"data:"):
            try:
                data.append(line[5:].removeprefix(b" ").decode())
            except UnicodeDecodeError:
                raise SseError("data that is not UTF-8") from None
        elif not line and data:
            yield "\n".join(data)
            data.clear()
    if data:
        yield "\n".join(data)


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    pending = bytearray()
    async for chunk in chunks:
        pending += chunk
        *lines, rest = pending.split(b"\n")
        for line in lines:
            yield bytes(line.removesuffix(b"\r"))
        pending = rest
        if len(pending) > LONGEST_LINE:
            raise SseError("a line without an end")
    if pending:
        yield bytes(pending.removesuffix(b"\r"))
