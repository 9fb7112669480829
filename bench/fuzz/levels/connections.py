"""Connections as they are: bytes go there, and what comes back is read."""

import asyncio
import json
import random
import ssl
from collections.abc import Sequence
from contextlib import suppress

ANSWER_S = 0.4
"""How long an answer is waited for: most broken requests get none."""

MOST_BYTES = 1 << 20
_PARTS = 4


def some_address(draw: random.Random) -> str:
    """An address of this machine to call from; a server takes each for another caller."""
    return f"127.{draw.randrange(1, 255)}.{draw.randrange(256)}.{draw.randrange(1, 255)}"


def own_context() -> ssl.SSLContext:
    """TLS with a server that has made its certificate itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def exchange(
    address: str,
    content: bytes,
    *,
    draw: random.Random,
    after_head: bytes = b"",
    within_s: float = ANSWER_S,
    pause_s: float = 0.0,
    tls: ssl.SSLContext | None = None,
) -> bytes:
    """Send bytes and return what comes until the other end closes, or for a while.

    With a pause it is sent in parts; what is to be sent `after_head` waits for the head of an
    answer.
    """
    host, _, port = address.rpartition(":")
    received = bytearray()
    try:
        reader, writer = await asyncio.open_connection(
            host, int(port), ssl=tls, local_addr=(some_address(draw), 0)
        )
    except OSError:
        return b""
    try:
        with suppress(TimeoutError, OSError, asyncio.IncompleteReadError):
            async with asyncio.timeout(within_s):
                for part in _parts(content) if pause_s else (content,):
                    if writer.is_closing():
                        break
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(pause_s)
                if after_head:
                    received += await reader.readuntil(b"\r\n\r\n")
                    writer.write(after_head)
                while len(received) < MOST_BYTES and (some := await reader.read(65_536)):
                    received += some
    finally:
        writer.transport.abort()
    return bytes(received)


def _parts(content: bytes) -> Sequence[bytes]:
    size = len(content) // _PARTS + 1
    return [content[at : at + size] for at in range(0, len(content), size)]


def http_answer(received: bytes) -> tuple[int, bytes] | None:
    """Return the status and the rest of the first answer over HTTP/1; None if there is none."""
    line, _, rest = received.partition(b"\r\n")
    words = line.split(b" ")
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        return None
    return int(words[1]), rest.partition(b"\r\n\r\n")[2]


def reason_of(body: bytes) -> str | None:
    """Return the reason in a problem; None if it is none."""
    with suppress(ValueError, RecursionError):
        problem = json.loads(body)
        if isinstance(problem, dict) and isinstance(problem.get("reason"), str):
            return str(problem["reason"])
    return None
