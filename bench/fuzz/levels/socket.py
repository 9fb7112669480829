"""The open line: messages and frames of a WebSocket, and the WebM that it may carry."""

import itertools
import json
import random
import struct
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from bench.fuzz.findings import Findings
from bench.fuzz.levels.connections import exchange, http_answer, reason_of
from bench.fuzz.levels.level import Level, Shot
from bench.fuzz.mutation import json_value, mutated, nested_json, noise, text
from bench.fuzz.target import API, Target
from tests.support.recordings import recording

_UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "X-Api-Key: {key}\r\n{more}\r\n"
)
_MORE = (
    *("Sec-WebSocket-Protocol: parley.v1", "Sec-WebSocket-Protocol: ,,", "Upgrade: h2c"),
    *("Sec-WebSocket-Protocol: parley.ticket.x, parley.v1", "Sec-WebSocket-Version: 99"),
    *("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99", "Origin: null"),
    *("Sec-WebSocket-Extensions: permessage-deflate", "Sec-WebSocket-Extensions: x;;=,"),
    *("Sec-WebSocket-Key: short", "Transfer-Encoding: chunked", "Content-Length: 5"),
)
_TEXT, _BINARY, _CLOSE = 1, 2, 8
_ANSWER_S = 1.0
_INTERNAL_ERROR = 1011
_KINDS = ("commit", "text", "say", "withdraw", "greet", "interrupt", "tool_result", "leave", "x")
_MEMBERS = ("text", "requestId", "priority", "interruptible", "callId", "result", "failed")
_QUERY = ("lang", "turnDetection", "audio", "after", "taskId", "x")


async def fire_messages(target: Target, shot: Shot, findings: Findings) -> None:
    """Open a line and send it a few messages."""
    draw = shot.draw
    frames = [_odd_message(draw) for _ in range(draw.randint(1, 6))]
    await _talk(target, shot, findings, _query(target, draw), b"".join(frames))


async def fire_webm(target: Target, shot: Shot, findings: Findings) -> None:
    """Open a line and send it a damaged recording in pieces."""
    draw = shot.draw
    content = recording(
        *draw.choice((("webm", "libopus"), ("webm", "libopus"), ("ogg", "libopus")))
    )
    for _ in range(draw.randint(0, 3)):
        content = mutated(content, draw)
    cuts = sorted(draw.randint(0, len(content)) for _ in range(draw.choice((0, 1, 5))))
    pieces = [content[start:end] for start, end in itertools.pairwise((0, *cuts, len(content)))]
    frames = b"".join(frame(_BINARY, piece) for piece in pieces)
    await _talk(target, shot, findings, f"taskId={target.task_id}&audio=webm", frames)


def _query(target: Target, draw: random.Random) -> str:
    query = f"taskId={target.task_id}&turnDetection={draw.choice(('MANUAL', 'SERVER'))}"
    if draw.random() < 0.2:
        query += f"&{draw.choice(_QUERY)}={quote(text(draw)[:500])}"
    return query


def _odd_message(draw: random.Random) -> bytes:
    match draw.randrange(9):
        case 0 | 1 | 2:
            return frame(_TEXT, json.dumps(_control(draw)).encode())
        case 3:
            return frame(_TEXT, mutated(json.dumps(_control(draw)).encode(), draw))
        case 4:
            return frame(_TEXT, nested_json(draw).encode())
        case 5:
            return frame(_TEXT, json.dumps(json_value(draw)).encode())
        case 6 | 7:
            return frame(_BINARY, noise(draw))
        case _:
            return _odd_frame(draw)


def _control(draw: random.Random) -> dict[str, Any]:
    members: dict[str, Any] = {"type": draw.choice(_KINDS)}
    for name in draw.sample(_MEMBERS, draw.randint(0, 4)):
        members[name] = draw.choice((text(draw), "Hello there.", json_value(draw)))
    return members


def frame(opcode: int, content: bytes, *, is_last: bool = True, is_masked: bool = True) -> bytes:
    """Return a frame as a client sends it."""
    head = bytes((opcode | (0x80 if is_last else 0),))
    length, mask = len(content), 0x80 if is_masked else 0
    if length < 126:
        head += bytes((length | mask,))
    elif length < 65_536:
        head += struct.pack(">BH", 126 | mask, length)
    else:
        head += struct.pack(">BQ", 127 | mask, length)
    return head + (bytes(4) if is_masked else b"") + content


def _odd_frame(draw: random.Random) -> bytes:
    match draw.randrange(7):
        case 0:
            return frame(_TEXT, b"\xff\xfe\xc3")
        case 1:
            return frame(draw.choice((3, 7, 11, 15, 0x41)), b"x")
        case 2:
            return frame(_TEXT, b"x", is_masked=False)
        case 3:
            return frame(9, bytes(draw.choice((0, 125, 126, 4_000))))
        case 4:
            return frame(
                _CLOSE, draw.choice((b"", b"\x03", b"\x03\xe8\xff", b"\0\0", b"\xff\xff x"))
            )
        case 5:
            return frame(_BINARY, b"ab", is_last=False) + frame(0, b"", is_last=False) * 40
        case _:
            return b"\x82\xff" + struct.pack(">Q", draw.choice((2**20, 2**31, 2**63 - 1, 2**63)))


async def _talk(target: Target, shot: Shot, findings: Findings, query: str, frames: bytes) -> None:
    more = f"{shot.draw.choice(_MORE)}\r\n" if shot.draw.random() < 0.2 else ""
    head = _UPGRADE.format(path=f"{API}/talk?{query}", key=target.api_key, more=more)
    closing = frame(_CLOSE, b"\x03\xe8")
    received = await exchange(
        target.gateway,
        head.encode(),
        draw=shot.draw,
        after_head=frames + closing,
        within_s=_ANSWER_S,
    )
    answer = http_answer(received)
    if answer is None or answer[0] != 101:
        status, body = answer or (0, b"")
        findings.judge_http(shot.level, shot.number, status, body, reason=reason_of(body))
        return
    code, reason = None, None
    for opcode, content in _frames_of(answer[1]):
        if opcode == _TEXT and content.startswith(b'{"problem"'):
            problem = json.loads(content)["problem"]
            reason = problem["reason"]
            findings.judge_reason(shot.level, shot.number, reason, problem.get("detail"))
        elif opcode == _CLOSE and len(content) >= 2:
            code = int.from_bytes(content[:2])
    if reason is None:
        findings.note(shot.level, f"closed with {code}" if code else "open")
    if code == _INTERNAL_ERROR and reason is None:
        findings.violated(shot.level, shot.number, "closed with 1011 without a problem")


def _frames_of(received: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the frames of a server, which are short or hold all of a message."""
    at = 0
    while at + 2 <= len(received):
        opcode, length, at = received[at] & 15, received[at + 1] & 127, at + 2
        if length >= 126:
            size = 2 if length == 126 else 8
            length, at = int.from_bytes(received[at : at + size]), at + size
        if at + length > len(received):
            return
        yield opcode, received[at : at + length]
        at += length


SOCKET = Level(name="socket", share=0.06, fire=fire_messages)
WEBM = Level(name="webm", share=0.03, fire=fire_webm)
