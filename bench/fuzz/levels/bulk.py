"""Much of one thing: members, depth, headers, parameters, parts, chunks, frames, messages.

Whatever is cheap to send in numbers may be dear to look at. Sizes go up to what the limits of the
gateway and the engine let through, and beyond.
"""

import random
import time
from collections.abc import Callable
from typing import TypeAlias

from bench.fuzz.findings import Findings
from bench.fuzz.levels.connections import exchange, http_answer, reason_of
from bench.fuzz.levels.level import Level, Shot
from bench.fuzz.target import API, STREAM, Target
from engine.contract.token import Purpose, Tokens

_COUNTS = (3, 100, 3_000, 30_000, 90_000)
_ANSWER_S = 2.0
_UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
)
_VALUES = (b"1", b"{}", b"[]", b'"a"', b"null", b'{"role":1}', b'"\\ud800"')
_LISTS = (b"history", b"hotWords", b"tools", b"variables", b"eventTypes", b"eventIds", b"taskId")
_BODIES = (
    *(f"{API}/create-task", f"{API}/talk-to-ai", f"{API}/say", f"{API}/tool-result"),
    *(f"{API}/webhooks", f"{API}/tickets", f"{API}/keys", "/api/callbacks/zego"),
    f"{API}/webhooks/whk_1/dead-letters/replay",
)
_NAMES = (
    *(b"Accept", b"Prefer", b"Cookie", b"Content-Type", b"tracestate", b"baggage", b"Origin"),
    *(b"Sec-WebSocket-Protocol", b"Sec-WebSocket-Extensions", b"X-Forwarded-For", b"Host"),
    *(b"Access-Control-Request-Headers", b"Authorization", b"If-None-Match", b"Range"),
)
_FORM = "multipart/form-data; boundary=edge"
_FRAMES = (
    *(b"\x82\x80\0\0\0\0", b"\x82\x82\0\0\0\0ab", b"\x81\x80\0\0\0\0", b"\x89\x80\0\0\0\0"),
    *(b"\x00\x80\0\0\0\0", b"\x01\x81\0\0\0\0a", b'\x81\x90\0\0\0\0{"type":"greet"}'),
)
Made: TypeAlias = tuple[bytes, bytes]
"""A request, and what follows once it is answered."""


def _members(target: Target, draw: random.Random, count: int) -> Made:
    """JSON with many members, in a list or an object, or within each other."""
    value = draw.choice(_VALUES)
    match draw.randrange(4):
        case 0:
            held = b"[" + b",".join([value] * count) + b"]"
        case 1:
            held = b"{" + b",".join(b'"%d":%s' % (at, value) for at in range(count)) + b"}"
        case 2:
            held = b'{"a":' * count
        case _:
            held = b'"' + draw.choice((b"a", b"{{", b"\\u200b", b"<|", "é".encode())) * count
            held += b'"'
    if draw.random() < 0.8:
        named = b'"roomId":"r","streamId":"s","url":"https://a.invalid","taskId":"%s",%s:%s'
        name = b'"%s"' % draw.choice((*_LISTS, b"text", b"greeting", b"result", b"x"))
        held = b"{" + named % (target.task_id.encode(), name, held) + b"}"
    return _request("POST", draw.choice(_BODIES), held), b""


def _head(target: Target, draw: random.Random, count: int) -> Made:
    """Many fields, or one with much in it."""
    name = draw.choice(_NAMES)
    field = draw.choice((b"a:\r\n" * count, name + b": " + b"a=b, " * count + b"\r\n"))
    kind = draw.choice((b"", _UPGRADE + b"\r\n", b"traceparent: 00-" + b"1" * 32 + b"\r\n"))
    path = draw.choice((f"{API}/tasks", "/livez", f"{API}/talk?taskId={target.task_id}"))
    return _request("GET", path, headers=kind + field), b""


def _address(target: Target, draw: random.Random, count: int) -> Made:
    """A long path, or many parameters."""
    piece = draw.choice(("a&", "a=b&", "state=STREAMING&", "%f0", "a/", "../", "%2e/", ";", "+"))
    path = draw.choice((f"{API}/tasks?", "/", "/web/", f"{API}/tasks/", "/livez?", f"{API}/audit?"))
    return _request("GET", path + piece * count), b""


def _chunks(target: Target, draw: random.Random, count: int) -> Made:
    """A body in many pieces, or with much around them."""
    kind = draw.choice(("application/json", _FORM, "audio/pcm"))
    path = f"{API}/talk-to-ai?taskId={target.task_id}"
    head = _request("POST", path, kind=kind, headers=b"Transfer-Encoding: chunked\r\n")
    piece = draw.choice((b"1\r\n[\r\n", b"2\r\n\r\n\r\n", b"1;a=b\r\na\r\n"))
    trailers = draw.choice((b"", b"a:\r\n" * min(count, 3_000)))
    return head + piece * count + b"0\r\n" + trailers + b"\r\n", b""


def _parts(target: Target, draw: random.Random, count: int) -> Made:
    """A form with many parts, many headers in one, or much that is nearly a boundary."""
    named = b'--edge\r\nContent-Disposition: form-data; name="text"'
    body = draw.choice(
        (
            (named + b"\r\n\r\nx\r\n") * count,
            named + b"\r\na: b" * count + b"\r\n\r\nx\r\n",
            named + b"; a=b" * count + b"\r\n\r\nx\r\n",
            named + b'; filename="a"\r\n\r\n' + b"\r\n--edg" * count + b"\r\n",
            b"\r\n" * count + named + b"\r\n\r\nx\r\n",
        )
    )
    return _request("POST", f"{API}/talk-to-ai", body + b"--edge--\r\n", kind=_FORM), b""


def _frames(target: Target, draw: random.Random, count: int) -> Made:
    """An open line, and many frames at once."""
    path = f"{API}/talk?taskId={target.task_id}&turnDetection=MANUAL"
    return _request("GET", path, headers=_UPGRADE + b"\r\n"), draw.choice(_FRAMES) * count


def _pipeline(target: Target, draw: random.Random, count: int) -> Made:
    """Many requests before the first is answered."""
    one = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"
    return one % draw.choice((b"/livez", b"/nowhere")) * min(count, 3_000), b""


def _offer(target: Target, draw: random.Random, count: int) -> Made:
    """An offer with many lines to the engine, of one who may watch."""
    tokens = Tokens(purpose=Purpose.VIEWER, secret=target.server_secret.encode(), now=time.time)
    token = tokens.issue({"iss": target.app_id, "sub": "u"}, life_s=60)
    line = draw.choice(
        (
            b"a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n",
            b"m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n",
            b"a=rtpmap:96 H264/90000\r\n",
            b"a=fmtp:96 " + b"a=b;" * 20 + b"\r\n",
            b"a=ssrc:1 cname:a\r\n",
        )
    )
    head = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
    return _request(
        *("POST", f"/whep/{STREAM}", head + line * count),
        kind="application/sdp",
        headers=b"Authorization: Bearer %s\r\n" % token.encode(),
    ), b""


def _action(target: Target, draw: random.Random, count: int) -> Made:
    """A call of the engine's API with many parameters or members."""
    query = draw.choice(("", "a=b&" * count))
    body = draw.choice((b"[" * count, b"{" + b'"a":1,' * count + b'"b":2}'))
    path = f"/?Action=CreateDigitalHumanStreamTask&AppId={target.app_id}&Signature=x&{query}"
    return _request("POST", path, body), b""


Kind: TypeAlias = Callable[[Target, random.Random, int], Made]
_OF_GATEWAY: tuple[Kind, ...] = (
    *(_members, _members, _head, _address, _chunks, _parts, _frames, _pipeline),
)
_OF_ENGINE: tuple[Kind, ...] = (_offer, _action, _head, _address, _pipeline)


async def fire(target: Target, shot: Shot, findings: Findings) -> None:
    """Send much of one thing, and take what is answered."""
    draw = shot.draw
    is_engine = draw.random() < 0.25
    make = draw.choice(_OF_ENGINE if is_engine else _OF_GATEWAY)
    request, then = make(target, draw, draw.choice(_COUNTS))
    content = request.replace(b"@credentials", b"X-Api-Key: " + target.api_key.encode())
    received = await exchange(
        target.engine if is_engine else target.gateway,
        content,
        draw=draw,
        after_head=then,
        within_s=_ANSWER_S,
    )
    level = f"{shot.level}: {make.__name__[1:]}"
    answer = http_answer(received)
    if answer is None:
        findings.note(level, "no answer")
        return
    status, body = answer
    findings.judge_http(level, shot.number, status, body, reason=reason_of(body))


def _request(
    method: str,
    path: str,
    body: bytes = b"",
    *,
    kind: str = "application/json",
    headers: bytes = b"",
) -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n@credentials\r\n".encode() + headers
    if method == "POST":
        head += f"Content-Type: {kind}\r\n".encode()
        if b"chunked" not in headers:
            head += b"Content-Length: %d\r\n" % len(body)
    if b"Upgrade" not in headers:
        head += b"Connection: close\r\n"
    return head + b"\r\n" + body


BULK = Level(name="bulk", share=0.01, fire=fire, at_once=4)
