"""What the servers of Volcengine share: frames, and how they refuse."""

import gzip
import json
import struct
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar, Generic, TypeVar

from services.speech.vendors.volcengine.frames import Frame, FrameType, decode
from tests.conformance.script import KEY, Session, Trouble
from tests.conformance.socket_server import Connection, SocketServer

S = TypeVar("S", bound=Session)

REFUSALS: Mapping[Trouble, HTTPStatus] = {
    Trouble.WRONG_KEY: HTTPStatus.UNAUTHORIZED,
    Trouble.RATE_LIMIT: HTTPStatus.TOO_MANY_REQUESTS,
}
FAILURES: Mapping[Trouble, tuple[int, str]] = {
    Trouble.QUOTA: (45_000_292, f"quota exceeded for types: text_words_lifetime of {KEY}"),
    Trouble.UNAVAILABLE: (55_000_031, "the server is busy"),
}
UNKNOWN_TYPE = 12
LOG_ID = "20261128155200"


def error(code: int, text: str) -> bytes:
    """Return a frame that reports an error."""
    payload = json.dumps({"error": text}).encode()
    return Frame(type=FrameType.ERROR, code=code, payload=payload).encode()


def numbered(document: Mapping[str, Any], number: int, *, is_last: bool = False) -> bytes:
    """Return a response with a sequence number, compressed, as the recognizer sends it."""
    payload = gzip.compress(json.dumps(document, ensure_ascii=False).encode())
    header = bytes((0x11, FrameType.RESPONSE << 4 | (3 if is_last else 1), 0x11, 0))
    number = -number if is_last else number
    return header + struct.pack(">iI", number, len(payload)) + payload


class FrameServer(SocketServer[S], Generic[S]):
    """A server that speaks in frames."""

    refusals = REFUSALS
    answer_headers: ClassVar[Mapping[str, str]] = {"X-Tt-Logid": LOG_ID}

    def __init__(self) -> None:
        super().__init__()
        self.refusal: bytes | None = None
        """With what it refuses all that it is asked."""

    async def refuses(self, connection: Connection[S]) -> bool:
        """Whether it refuses what it is asked, and says so."""
        failure = FAILURES.get(self.trouble) if self.trouble else None
        refusal = error(*failure) if failure else self.refusal
        if refusal is not None:
            await connection.refuse(refusal)
            await connection.close(1000, "")
        return refusal is not None


async def received(connection: Connection[Any]) -> Frame:
    """Return the next frame that the adapter sends."""
    message = await connection.receive()
    assert isinstance(message, bytes)
    return decode(message)
