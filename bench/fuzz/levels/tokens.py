"""Credentials that are forged, altered or no credentials at all, at each door that reads some."""

import base64
import hashlib
import json
import random
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from bench.fuzz.findings import Findings
from bench.fuzz.levels.connections import exchange, http_answer, own_context, reason_of
from bench.fuzz.levels.level import Level, Shot
from bench.fuzz.mutation import json_value, mutated, noise, text
from bench.fuzz.target import API, STREAM, Target
from engine.contract.token import Purpose, Tokens
from services.avatar.vendor.signature import Credentials, signed_query

_TLS = own_context()
_UPGRADE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
)
_LET_IN = (200, 201, 101)
_ALGORITHMS: tuple[Any, ...] = ("none", "HS512", "RS256", "", None, [], {})
_CALLBACK_PATH = "/api/callbacks/zego"


async def fire(target: Target, shot: Shot, findings: Findings) -> None:
    """Knock at one door with what must not open it."""
    draw = shot.draw
    door = draw.choice(_DOORS)
    address, content = door(target, draw)
    is_secure = address == target.drives
    received = await exchange(address, content, draw=draw, tls=_TLS if is_secure else None)
    answer = http_answer(received)
    level = f"{shot.level}: {door.__name__[1:]}"
    if answer is None:
        findings.note(level, "no answer")
        return
    status, body = answer
    findings.judge_http(level, shot.number, status, body, reason=reason_of(body))
    # The cloud's API puts its refusals into the body, and so does a socket that browsers open.
    is_refused = b"CREDENTIALS_INVALID" in body or b"RATE_LIMITED" in body
    is_refused |= door is _signature and b'"Code":0' not in body.replace(b" ", b"")
    if status in _LET_IN and not is_refused:
        findings.violated(level, shot.number, f"was let in: {content[:300]!r}")


def _api_key(target: Target, draw: random.Random) -> tuple[str, bytes]:
    key = _altered(target.api_key.encode(), draw)
    header = draw.choice((b"X-Api-Key: ", b"Authorization: Bearer ", b"authorization:basic ", b""))
    if not header:
        path = f"{API}/talk?taskId=x&apiKey={quote(key)}"
        return target.gateway, _request("GET", path, headers=_UPGRADE)
    return target.gateway, _request("GET", f"{API}/tasks", headers=header + _line(key))


def _ticket(target: Target, draw: random.Random) -> tuple[str, bytes]:
    """A ticket that was never issued, where browsers put theirs."""
    made = (
        draw.choice((b"parley_ticket_", b"parley_once_", b"parley_key_"))
        + noise(draw)[:64].hex().encode()
    )
    ticket = draw.choice((made, made, _altered(made, draw)))
    path = f"{API}/talk?taskId=x"
    match draw.randrange(3):
        case 0:
            asked = b"\r\nSec-WebSocket-Protocol: parley.v1, parley.ticket." + _line(ticket)
            return target.gateway, _request("GET", path, headers=_UPGRADE + asked)
        case 1:
            path += f"&ticket={quote(ticket)}"
            return target.gateway, _request("GET", path, headers=_UPGRADE)
        case _:
            return target.gateway, _request("GET", f"{API}/tasks?ticket={quote(ticket)}")


def _viewer_token(target: Target, draw: random.Random) -> tuple[str, bytes]:
    claims = {"iss": target.app_id, "sub": "u", "room": "fuzz"}
    token = _forged(_issued(Purpose.VIEWER, target.server_secret.encode(), claims), draw)
    headers = b"Authorization: Bearer %s\r\nContent-Type: application/sdp" % _line(token)
    return target.engine, _request("POST", f"/whep/{STREAM}", b"v=0\r\n", headers=headers)


def _drive_token(target: Target, draw: random.Random) -> tuple[str, bytes]:
    token = _forged(_issued(Purpose.DRIVE, noise(draw) + b"x" * 32, {"LiveId": "x"}), draw)
    path = f"/ws?Token={quote(token)}"
    return target.drives, _request("GET", path, headers=_UPGRADE)


def _callback(target: Target, draw: random.Random) -> tuple[str, bytes]:
    timestamp, nonce = int(time.time()), draw.randrange(2**31)
    parts = sorted((target.callback_secret, str(timestamp), str(nonce)))
    good = hashlib.sha1("".join(parts).encode(), usedforsecurity=False).hexdigest()
    signature = _altered(good.encode(), draw).decode("latin-1")
    told = {
        "AppId": int(target.app_id),
        "Nonce": nonce,
        "Timestamp": timestamp,
        "Signature": draw.choice((signature, signature, None, [], 5)),
        "EventType": draw.choice((3, 4, 5, -1, "3")),
        "TaskId": draw.choice(("x", text(draw))),
        "Detail": json_value(draw),
    }
    for name in draw.sample(sorted(told), draw.choice((0, 0, 1, 3))):
        if name != "Signature":
            told[name] = json_value(draw)
    return target.gateway, _request("POST", _CALLBACK_PATH, json.dumps(told).encode())


def _signature(target: Target, draw: random.Random) -> tuple[str, bytes]:
    credentials = Credentials(app_id=int(target.app_id), server_secret=target.server_secret)
    query = signed_query(
        credentials, action="QueryDigitalHumanStreamTasks", timestamp=int(time.time())
    )
    name = draw.choice(("Signature", "SignatureNonce", "Timestamp", "AppId", "SignatureVersion"))
    query[name] = _altered(query[name].encode(), draw).decode("latin-1")
    path = "/?" + "&".join(f"{each}={quote(value)}" for each, value in query.items())
    return target.engine, _request("POST", path, b"{}")


def _issued(purpose: Purpose, secret: bytes, claims: Mapping[str, Any]) -> str:
    return Tokens(purpose=purpose, secret=secret, now=time.time).issue(claims, life_s=60)


def _altered(good: bytes, draw: random.Random) -> bytes:
    """Something else than what is right."""
    while True:
        made = draw.choice((mutated(good, draw), noise(draw), text(draw).encode(), good[:-1]))
        # What surrounds a credential is no part of it.
        if made.strip() != good:
            return made[:8_000]


def _forged(good: str, draw: random.Random) -> bytes:
    """A token whose header, claims or signature are others."""
    head, claims, signature = good.split(".")
    match draw.randrange(4):
        case 0:
            made = ".".join((_encoded(json_value(draw)), claims, signature))
        case 1:
            made = ".".join((head, _encoded(json_value(draw)), signature))
        case 2:
            made = ".".join((_encoded({"alg": draw.choice(_ALGORITHMS)}), claims, ""))
        case _:
            return _altered(good.encode(), draw)
    return made.encode()


def _encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _line(content: bytes) -> bytes:
    """Content that stays within its header."""
    return content.replace(b"\r", b"").replace(b"\n", b"")


def _request(method: str, path: str, body: bytes = b"", *, headers: bytes = b"X-Y: z") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n".encode() + headers
    if b"Upgrade" not in head:
        head += b"\r\nConnection: close"
    if body and b"Content-Type" not in head:
        head += b"\r\nContent-Type: application/json"
    return head + f"\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


_DOORS = (_api_key, _ticket, _viewer_token, _drive_token, _callback, _signature)
TOKENS = Level(name="tokens", share=0.08, fire=fire, at_once=32)
