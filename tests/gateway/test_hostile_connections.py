"""Connections that never come to the point end, and nobody can hold all that there are."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_network

import httpx
import pytest

from gateway.server.limits import ConnectionLimits
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from tests.support.gateway_rig import RunningGateway, running_gateway

HEAD = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n"
UPGRADE = (
    b"GET /api/digital-human/talk?taskId=%s HTTP/1.1\r\nhost: localhost\r\n"
    b"connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
MASK = b"\0\0\0\0"
POLICY_VIOLATION = b"\x03\xf0"


@asynccontextmanager
async def connection(
    gateway: RunningGateway,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection as it is."""
    url = httpx.URL(gateway.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    try:
        yield reader, writer
    finally:
        writer.close()


@pytest.mark.parametrize(
    "begun", [b"", HEAD[:20], HEAD + HEAD[:20]], ids=["nothing", "half", "2nd"]
)
async def test_a_request_that_is_not_sent_is_given_up(begun: bytes) -> None:
    limits = ConnectionLimits(head_timeout_s=0.2)
    async with running_gateway(limits=limits) as gateway, connection(gateway) as (reader, writer):
        writer.write(begun)
        async with asyncio.timeout(20):
            # What is cut off ends, or is reset.
            with suppress(ConnectionError):
                await reader.read()


async def test_a_request_that_takes_long_is_served() -> None:
    limits = ConnectionLimits(head_timeout_s=0.2)
    async with running_gateway(limits=limits) as gateway:
        task_id = await gateway.create()
        gateway.script.hold_reply = asyncio.Event()
        asking = asyncio.create_task(
            gateway.client.post(
                "/api/digital-human/talk-to-ai", json={"taskId": task_id, "text": "Hi"}
            )
        )
        await gateway.speech.replying.wait()
        await asyncio.sleep(0.4)
        gateway.script.hold_reply.set()
        assert (await asking).status_code == 200


async def test_one_address_has_its_share_of_connections() -> None:
    limits = ConnectionLimits(per_address=2)
    async with running_gateway(limits=limits) as gateway, connection(gateway) as (first, kept):
        async with connection(gateway) as (_, second):
            second.write(HEAD)
            async with connection(gateway) as (refused, _):
                head, _, body = (await refused.read()).partition(b"\r\n\r\n")
                assert b" 429 Too Many Requests\r\n" in head
                assert b"\r\nretry-after: 1\r\n" in head
                assert json.loads(body)["reason"] == "RATE_LIMITED"
        kept.write(HEAD)
        assert b" 200 " in await first.readline()


def reason_of(refusal: ServiceError | None) -> Reason | None:
    return None if refusal is None else refusal.reason


def test_proxies_carry_many_clients() -> None:
    limits = ConnectionLimits(total=5, per_address=1, proxies=[ip_network("10.0.0.0/8")])
    assert limits.refusal("10.1.2.3", ["10.1.2.3"] * 4) is None
    assert reason_of(limits.refusal("10.1.2.3", ["10.1.2.3"] * 5)) is Reason.CAPACITY_EXCEEDED
    assert reason_of(limits.refusal("192.0.2.1", ["192.0.2.1"])) is Reason.RATE_LIMITED


@pytest.mark.parametrize(
    "flood",
    [b"\x02\x80" + MASK + (b"\x00\x80" + MASK) * 60_000, (b"\x89\x80" + MASK) * 60_000],
    ids=["fragments", "pings"],
)
async def test_frames_that_bring_nothing_are_few(gateway: RunningGateway, flood: bytes) -> None:
    task_id = await gateway.create()
    async with connection(gateway) as (reader, writer):
        writer.write(UPGRADE % task_id.encode())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(flood)
        told = b""
        async with asyncio.timeout(60):
            while POLICY_VIOLATION not in told:
                told += await reader.read(65_536)
        assert b"RATE_LIMITED" in told
        assert told.count(b"\x8a\x00") < 1_000
    assert (await gateway.client.get("/livez")).status_code == 200


@pytest.mark.parametrize(
    "garbage",
    [b"garbage\r\n\r\n", HEAD + b"\0\r\n\r\n", b"POST / HTTP/1.1\r\nhost: x\r\n: y\r\n\r\n"],
    ids=["line", "second", "header"],
)
async def test_what_is_not_http_is_a_problem(gateway: RunningGateway, garbage: bytes) -> None:
    async with connection(gateway) as (reader, writer):
        writer.write(garbage)
        told = await reader.read()
    assert b" 400 " in told
    assert b'"reason":"MALFORMED_MESSAGE"' in told


POST = (
    b"POST /api/digital-human/talk-to-ai?taskId=nobody HTTP/1.1\r\nhost: localhost\r\n"
    b"content-type: audio/pcm\r\n"
)
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (HEAD[:-2] + b"a: b\r\n" * 101, b"headers"),
        # It is refused as it comes, even if all of it comes at once.
        (HEAD[:-2] + b"a:\n" * 60_000 + b"\r\n", b"headers"),
        (CHUNKED + b"2\r\nxx\r\n" * 1_001, b"Transfer-Encoding"),
    ],
    ids=["fields", "all at once", "crumbs"],
)
async def test_what_costs_more_to_parse_than_to_send_is_refused(
    gateway: RunningGateway, request_: bytes, field: bytes
) -> None:
    async with connection(gateway) as (reader, writer):
        writer.write(request_)
        told = await reader.readuntil(b"}]")
    assert b" 400 " in told
    assert b'"reason":"MALFORMED_MESSAGE"' in told
    assert b'"violations":[{"field":"%s"' % field in told


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (HEAD[:-2] + b"a: b\r\n" * 60 + b"\r\n", b"200"),
        # Lines of a body are no fields. Nobody has the task, which is looked up next.
        (POST + b"content-length: 640\r\n\r\n" + b"\n" * 640, b"404"),
        (CHUNKED + b"280\r\n" + b"x" * 640 + b"\r\n0\r\n\r\n", b"404"),
        (CHUNKED + b"2\r\nxx\r\n" * 1_000 + b"0\r\n\r\n", b"404"),
        (CHUNKED + b'280;a="b"\r\n' + b"x" * 640 + b"\r\n0\r\nx-sum: 1\r\n\r\n", b"404"),
        (b"\r\n\r\n" + HEAD, b"200"),
        (b"GET HTTP://LOCALHOST/livez?x=http://y HTTP/1.1\r\nhost: x\r\n\r\n", b"200"),
        (b"GET http://localhost HTTP/1.1\r\nhost: localhost\r\n\r\n", b"200"),
        (b"GET http://evil.example/livez HTTP/1.1\r\nhost: localhost\r\n\r\n", b"403"),
    ],
    ids=[
        "fields",
        "lines",
        "chunks",
        "crumbs",
        "trailers",
        "empty lines",
        "whole address",
        "address without a path",
        "address elsewhere",
    ],
)
async def test_what_clients_send_is_taken(
    gateway: RunningGateway, request_: bytes, status: bytes
) -> None:
    async with connection(gateway) as (reader, writer):
        writer.write(request_)
        told = await reader.readuntil(b"\r\n\r\n")
    assert told.split(b" ", 2)[1] == status


async def test_an_empty_line_after_a_body_is_no_request(gateway: RunningGateway) -> None:
    async with connection(gateway) as (reader, writer):
        writer.write(POST + b"content-length: 2\r\n\r\n{}\r\n")
        told = await reader.readuntil(b"HTTP/1.1 404 ")
        writer.write(HEAD[:-2] + b"connection: close\r\n\r\n")
        told += await reader.read()
    assert [each[:3] for each in told.split(b"HTTP/1.1 ")] == [b"", b"404", b"200"]


async def test_a_body_that_breaks_off_is_answered_once(
    gateway: RunningGateway, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    head = (
        b"POST /api/digital-human/talk-to-ai?taskId=%s HTTP/1.1\r\nhost: localhost\r\n"
        b"content-type: audio/wav\r\ntransfer-encoding: chunked\r\n\r\n5\r\nRIFF\n\r\n"
    )
    task_id = await gateway.create()
    async with connection(gateway) as (reader, writer):
        writer.write(head % task_id.encode())
        writer.write(b"no length of a chunk\r\n")
        told = await reader.read()
    assert told.count(b"HTTP/1.1 ") == 1
    assert b" 400 " in told
    assert (await gateway.client.get("/livez")).status_code == 200
    assert "Traceback" not in caplog.text + "".join(capsys.readouterr())


NO_TEXT = b"\x81\x82" + MASK + b"\xff\xfe"
GREET = b"\x81\x90" + MASK + b'{"type":"greet"}'
CLOSE = b"\x88\x82" + MASK + b"\x03\xe8"


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (NO_TEXT, 1007),
        (NO_TEXT + CLOSE, 1000),
        (GREET + NO_TEXT, 1007),
        (GREET + b"\x83\x80" + MASK, 1002),
        (GREET + CLOSE + GREET, 1000),
    ],
    ids=["no text", "left behind it", "events follow", "no frame", "left before it"],
)
async def test_a_line_that_breaks_is_no_surprise(
    frames: bytes,
    code: int,
    gateway: RunningGateway,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    task_id = await gateway.create()
    async with connection(gateway) as (reader, writer):
        writer.write(UPGRADE % task_id.encode())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(frames)
        told = b""
        async with asyncio.timeout(20):
            while code.to_bytes(2) not in told:
                some = await reader.read(65_536)
                assert some, told
                told += some
    assert (b"MALFORMED_MESSAGE" in told) == (code != 1000)
    assert (await gateway.client.get("/livez")).status_code == 200
    assert "Traceback" not in caplog.text + "".join(capsys.readouterr())
