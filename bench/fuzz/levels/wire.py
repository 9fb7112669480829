"""The bytes of HTTP/1, as no client would send them, to the gateway and to the engine."""

import random

from bench.fuzz.findings import Findings
from bench.fuzz.levels.connections import exchange, http_answer, reason_of
from bench.fuzz.levels.level import Level, Shot
from bench.fuzz.mutation import mutated, text
from bench.fuzz.target import API, Target

_LENGTHS = (b"0", b"-1", b"1", b"99999999999999999999", b"0x10", b"1, 1", b"+4", b"\xb2", b"")
_CHUNKS = (
    *(
        b"5\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n",
        b"ffffffffffffffff\r\nx",
        b"5;a=b\r\nhello\r\n",
    ),
    *(b"0x5\r\nhello\r\n0\r\n\r\n", b"zz\r\n", b"5\nhello\n0\n\n", b"0\r\nX: y\r\n\r\n"),
)
_HEADERS: tuple[bytes, ...] = (
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked, identity", b"TE: trailers"),
    *(b"Expect: 100-continue", b"Upgrade: h2c", b"Connection: upgrade", b"Content-Encoding: gzip"),
    *(
        b"Host: a\r\nHost: b",
        b" folded: x",
        b": empty",
        b"No-Colon",
        b"X\0Y: z",
        b"X: " + b"y" * 9_000,
    ),
    *(b"Prefer: respond-async", b"Last-Event-ID: 99999999999999999999", b"Range: bytes=-1-,9-2"),
    *(
        b"Origin: null",
        b"Origin: http://\xff",
        b"Authorization: Bearer \xff\xfe",
        b"Cookie: a=b;;=;",
    ),
    *(b"Accept: */*;q=\xe9", b"traceparent: 00-zz-1-01", b"baggage: " + b"a=b," * 400),
    *(b"Content-Encoding: br, gzip", b"Content-Encoding: zstd", b"Accept-Encoding: gzip;q=nan"),
    *(b"Content-Type: multipart/form-data", b"Content-Type: application/json;charset=\xff"),
    *(b"X-Request-Id: " + b"\x1b[2J" * 9, b"Idempotency-Key: \xc3\xa9", b"If-Match: " + b'"' * 99),
)
_PAUSES_S = (0.0,) * 20 + (0.05,)
_FORM = (
    b'--edge\r\nContent-Disposition: form-data; name="taskId"\r\n\r\nx\r\n'
    b'--edge\r\nContent-Disposition: form-data; name="audio"; filename="a.wav"\r\n'
    b"Content-Type: audio/wav\r\n\r\nRIFF\r\n--edge--\r\n"
)


def _request(method: str, path: str, body: bytes = b"", kind: str = "application/json") -> bytes:
    length = f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n" if body else ""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{length}"
    return head.encode() + b"@credentials\r\n" + body


_UPGRADE = (
    b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n@credentials\r\n"
)
_GATEWAY = (
    _request("GET", "/livez"),
    _request("GET", f"{API}/tasks?pageSize=2"),
    _request("GET", f"{API}/tasks/@task/turns"),
    _request("GET", f"{API}/tasks/@task/events?after=1"),
    _request("GET", f"{API}/personas"),
    _request("GET", "/api/token?userId=u"),
    _request("GET", "/openapi.json"),
    _request("GET", "/web/index.html"),
    _request("OPTIONS", f"{API}/create-task"),
    _request("POST", f"{API}/interrupt", b'{"taskId":"@task"}'),
    _request("POST", f"{API}/say", b'{"taskId":"nobody","text":"Hi"}'),
    _request("POST", f"{API}/talk-to-ai", _FORM, "multipart/form-data; boundary=edge"),
    _request("POST", f"{API}/talk-to-ai?taskId=nobody", b"\0" * 640, "audio/pcm"),
    _request("POST", "/api/v1/audio/speech", b'{"input":"Hi","voice":"x","model":"x"}'),
    _request("POST", "/api/callbacks/zego", b'{"EventType":3,"TaskId":"x","Signature":"x"}'),
    _request("DELETE", f"{API}/tasks/nobody/say/x"),
    _request("PATCH", f"{API}/tasks/nobody", b'{"context":"nobody","variables":{"a":"b"}}'),
    _request("POST", f"{API}/tickets", b'{"taskId":"@task","expiresInSeconds":60}'),
    _request("POST", f"{API}/webhooks", b'{"url":"https://example.invalid/nobody"}'),
    _request("POST", f"{API}/webhooks/nobody/rotate-key", b'{"overlap":0}'),
    _request("GET", f"{API}/webhooks/nobody/dead-letters?pageSize=2"),
    _request("GET", f"{API}/audit?pageSize=2"),
    _request("DELETE", f"{API}/keys/nobody"),
    _UPGRADE % f"{API}/talk?taskId=@task".encode(),
)
_ENGINE = (
    _request("GET", "/healthz"),
    _request("POST", "/?Action=QueryDigitalHumanStreamTasks&AppId=1&Signature=x", b"{}"),
    _request("POST", "/whep/fuzz", b"v=0\r\n", "application/sdp"),
    _request("PATCH", "/whep/fuzz/x", b"a=mid:0\r\n", "application/trickle-ice-sdpfrag"),
    _request("OPTIONS", "/whep/fuzz"),
    _request("GET", "/face/parley_mia/portrait/%23000000.json"),
)


async def fire(target: Target, shot: Shot, findings: Findings) -> None:
    """Send one broken request."""
    draw = shot.draw
    is_engine = draw.random() < 0.3
    content = _broken(draw.choice(_ENGINE if is_engine else _GATEWAY), draw)
    content = content.replace(b"@task", target.task_id.encode())
    credentials = b"X-Api-Key: %s\r\n" % target.api_key.encode() if draw.random() < 0.8 else b""
    content = content.replace(b"@credentials", credentials)
    address = target.engine if is_engine else target.gateway
    pause_s = draw.choice(_PAUSES_S)
    answer = http_answer(await exchange(address, content, draw=draw, pause_s=pause_s))
    if answer is None:
        findings.note(shot.level, "no answer")
        return
    status, body = answer
    findings.judge_http(shot.level, shot.number, status, body, reason=reason_of(body))


def _broken(request: bytes, draw: random.Random) -> bytes:
    match draw.randrange(7):
        case 0:
            return mutated(request, draw)
        case 1:
            return request.replace(b"\r\n", b"\r\n" + draw.choice(_HEADERS) + b"\r\n", 1)
        case 2:
            return request.replace(b"Host", b"Content-Length: %s\r\nHost" % draw.choice(_LENGTHS))
        case 3:
            head = request.partition(b"\r\n\r\n")[0]
            head = head.replace(b"Content-Length", b"Transfer-Encoding: chunked\r\nX-Length")
            return head + b"\r\n\r\n" + draw.choice(_CHUNKS)
        case 4:
            return request + mutated(draw.choice(_GATEWAY), draw)
        case 5:
            word = text(draw).encode()
            return request.replace(b"nobody", word).replace(b"=2", b"=" + word, 1)
        case _:
            place = draw.randrange(3)
            words = request.split(b" ", 2)
            words[place] = draw.choice((mutated(words[place][:200], draw), text(draw).encode()))
            return b" ".join(words)


WIRE = Level(name="wire", share=0.3, fire=fire, at_once=64)
