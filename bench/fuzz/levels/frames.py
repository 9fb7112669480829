"""The frames of HTTP/2 and the messages within them, as no gRPC client would send them."""

import base64
import random
import struct

import grpc
from google.rpc import status_pb2
from hpack import Decoder, Encoder, HPACKError
from hyperframe.exceptions import HyperframeError
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from bench.fuzz.findings import Findings
from bench.fuzz.levels.connections import exchange
from bench.fuzz.levels.level import Level, Shot
from bench.fuzz.levels.messages import METHODS, Method, request_bytes
from bench.fuzz.mutation import mutated, noise, text
from bench.fuzz.target import Target

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME_HEAD = 9
_OF_GRPC = "grpc itself"
"""Who has ended a call that no handler has seen."""


async def fire(target: Target, shot: Shot, findings: Findings) -> None:
    """Send one connection's worth of frames."""
    draw = shot.draw
    method = draw.choice(METHODS)
    frames = _frames(method, draw, target)
    content = _PREFACE + SettingsFrame(0).serialize() + b"".join(frames)
    if draw.random() < 0.3:
        content = mutated(content, draw)
    received = await exchange(target.services[method.process], content, draw=draw)
    ended = _ending(received)
    if ended is None:
        findings.note(shot.level, "no ending")
        return
    code, words, details = ended
    if not details and code in _ENDED_BY_GRPC and not words.startswith("Unexpected"):
        findings.note(shot.level, f"{_OF_GRPC}: {code}")
        return
    status = status_pb2.Status.FromString(details) if details else None
    findings.judge_code(shot.level, shot.number, code, f"{method.path} {words}", status)


_ENDED_BY_GRPC = {
    # What the protocol prescribes for what is compressed in an unknown way, or not announced.
    int(code.value[0])
    for code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
}


def _frames(method: Method, draw: random.Random, target: Target) -> list[bytes]:
    headers: list[tuple[str, str | bytes]] = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", method.path),
        (":authority", "localhost"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("authorization", f"Bearer {target.service_token}"),
    ]
    if draw.random() < 0.3:
        at = draw.randrange(len(headers))
        headers[at] = draw.choice(
            (
                (headers[at][0], text(draw)[:200]),
                (headers[at][0], noise(draw)[:80]),
                ("grpc-timeout", draw.choice(("1n", "0S", "-1S", "99999999H", "x", ""))),
                ("grpc-encoding", draw.choice(("gzip", "deflate", "br", "identity", ""))),
                ("content-type", draw.choice(("application/json", "application/grpc+json"))),
                ("parley-tenant", text(draw)[:80]),
            )
        )
    block = Encoder().encode(headers)
    if draw.random() < 0.1:
        block = mutated(block, draw)
    opened = HeadersFrame(1, block, flags=["END_HEADERS"] if draw.random() < 0.95 else [])
    message = request_bytes(method, draw, task_id=target.task_id)
    data = DataFrame(1, _prefixed(message, draw), flags=["END_STREAM"])
    frames = [opened.serialize(), data.serialize()]
    for _ in range(draw.choice((0, 0, 1, 3))):
        frames.insert(draw.randint(0, len(frames)), _odd_frame(draw))
    if draw.random() < 0.1:
        draw.shuffle(frames)
    return frames


def _prefixed(message: bytes, draw: random.Random) -> bytes:
    """A message as gRPC frames it, or as it should not be."""
    length = len(message)
    if draw.random() < 0.2:
        length = draw.choice((0, length + 1, max(0, length - 1), 2**31, 2**32 - 1))
    compressed = draw.choice((0,) * 8 + (1, 255))
    return struct.pack(">BI", compressed, length) + message


def _odd_frame(draw: random.Random) -> bytes:
    stream = draw.choice((0, 1, 2, 3, 2**31 - 1))
    match draw.randrange(9):
        case 0:
            frame: Frame = PingFrame(0, b"12345678")
        case 1:
            frame = RstStreamFrame(stream or 1, draw.choice((0, 8, 99)))
        case 2:
            frame = WindowUpdateFrame(stream, draw.choice((1, 2**31 - 1)))
        case 3:
            frame = SettingsFrame(0, {draw.choice((1, 3, 4, 5, 6, 99)): draw.choice((0, 1, 2**31))})
        case 4:
            frame = PriorityFrame(stream or 1, depends_on=draw.choice((0, 1, 3)), stream_weight=1)
        case 5:
            frame = GoAwayFrame(0, last_stream_id=stream, additional_data=noise(draw)[:64])
        case 6:
            frame = ContinuationFrame(stream or 1, noise(draw)[:64], flags=["END_HEADERS"])
        case 7:
            frame = DataFrame(stream or 1, noise(draw))
        case _:
            # Of an unknown type, or with a length that is not its own.
            length = draw.choice((0, 4, 16_384, 2**24 - 1))
            head = struct.pack(">I", length)[1:] + bytes((draw.randrange(256), draw.randrange(256)))
            return head + struct.pack(">I", stream) + noise(draw)[:64]
    return bytes(frame.serialize())


def _ending(received: bytes) -> tuple[int, str, bytes] | None:
    """Return the code, text and details of the first call that ended; None if none did."""
    decoder, at = Decoder(), 0
    while at + _FRAME_HEAD <= len(received):
        try:
            frame, length = Frame.parse_frame_header(memoryview(received[at : at + _FRAME_HEAD]))
            body = received[at + _FRAME_HEAD : at + _FRAME_HEAD + length]
            frame.parse_body(memoryview(body))
            headers = decoder.decode(frame.data) if isinstance(frame, HeadersFrame) else ()
        except (HyperframeError, HPACKError):
            return None
        found = {str(name): str(value) for name, value in headers}
        if "grpc-status" in found:
            return int(found["grpc-status"]), found.get("grpc-message", ""), _details(found)
        at += _FRAME_HEAD + length
    return None


def _details(headers: dict[str, str]) -> bytes:
    text = headers.get("grpc-status-details-bin", "")
    return base64.b64decode(text + "=" * (-len(text) % 4))


FRAMES = Level(name="frames", share=0.15, fire=fire, at_once=48)
