"""Whatever is sent to the engine costs it a line at most: no traceback, no thread, no socket."""

import asyncio
import random
import ssl
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from tests.support.engine_cloud import Cloud, make_tone

FRAGMENT = "application/trickle-ice-sdpfrag"
UPGRADE = (
    b"GET /ws?Token=x HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
RAW = [
    b"garbage\r\n\r\n",
    bytes(100),
    UPGRADE,
    UPGRADE.replace(b"GET", b"POST"),
    UPGRADE.replace(b"Upgrade: websocket\r\n", b""),
    UPGRADE.replace(b"13", b"8"),
    UPGRADE.replace(b"Token=x", b"Token=%ff%00&Token=%f0"),
    UPGRADE.replace(b"/ws", b"//[:"),
    UPGRADE.replace(b"Host: a", b"Host: \xff\xfe"),
    UPGRADE[:50],
    b"GET /" + b"/" * 20_000 + b" HTTP/1.1\r\n\r\n",
    # The body breaks while the request is being answered.
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nno length\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nno length\r\n",
]


async def make_offer() -> str:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTransceiver("audio", direction="recvonly")
    peer.addTransceiver("video", direction="recvonly")
    peer.createDataChannel("blendshape")
    await peer.setLocalDescription(await peer.createOffer())
    offer = str(peer.localDescription.sdp)
    await peer.close()
    return offer


def mutate(offer: str, rng: random.Random, count: int) -> Iterator[str]:
    head, *sections = offer.split("m=")
    for _ in range(count):
        lines = offer.splitlines()
        at = rng.randrange(len(lines))
        match rng.randrange(6):
            case 0:
                del lines[at : at + rng.randint(1, 3)]
            case 1:
                lines.insert(at, rng.choice(lines))
            case 2:
                lines[at] += rng.choice([" 99999999999", "-1", "\0", "é"])
            case 3:
                rng.shuffle(lines)
            case 4:
                chosen = rng.choices(sections, k=rng.randint(1, 12))
                lines = "m=".join([head, *chosen]).splitlines()
            case 5:
                lines[at] = lines[at][: len(lines[at]) // 2]
        yield "\r\n".join(lines) + "\r\n"


def held() -> tuple[int, int]:
    """Threads and datagram sockets of this process."""
    process = psutil.Process()
    return process.num_threads(), len(process.net_connections("udp"))


async def test_broken_offers_leave_nothing_behind(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    await cloud.go_on_air()
    rng = random.Random(7)
    offer = await make_offer()
    threads, sockets = held()
    for number, broken in enumerate(mutate(offer, rng, 40)):
        answer = await cloud.post_offer("stream-1", broken.encode())
        assert answer.status_code in (201, 400), broken
        if answer.status_code == 201:
            location = answer.headers["Location"]
            fragment = rng.choice(["\0", "a=mid:9\r\n", broken[:300]])
            headers = {"Content-Type": FRAGMENT}
            trickled = await cloud.http.patch(location, content=fragment, headers=headers)
            assert trickled.status_code in (204, 400), number
            await cloud.http.delete(location)
    async with asyncio.timeout(60):
        while held()[1] > sockets:
            await cloud.http.get("/healthz")
    assert held()[0] <= threads + 2
    assert_lines(capsys, caplog)


async def test_utterances_cost_no_thread_each(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    first = await cloud.play(task_id, make_tone(0.1).tobytes())
    await cloud.receiver.until_drive(first, 4)
    threads, _ = held()
    for _ in range(8):
        again = await cloud.play(task_id, make_tone(0.1).tobytes())
        await cloud.receiver.until_drive(again, 4)
    assert held()[0] <= threads + 2


@pytest.mark.parametrize("port", ["http", "drives"])
async def test_garbage_costs_a_line_at_most(
    port: str, cloud: Cloud, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    number = cloud.engine.drive_port
    if port == "http":
        number = int(cloud.engine.base_url.rpartition(":")[2])
    threads, _ = held()
    for raw in RAW:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", number, ssl=context if port == "drives" else None
        )
        writer.write(raw)
        writer.write_eof() if writer.can_write_eof() else writer.close()
        await asyncio.gather(reader.read(), return_exceptions=True)
        writer.close()
    assert (await cloud.http.get("/healthz")).status_code == 200
    assert held()[0] <= threads + 2
    assert_lines(capsys, caplog)


HEAD = b"GET /healthz%s HTTP/1.1\r\nHost: a\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        HEAD % b"" + b"a: b\r\n" * 101,
        # It is refused as it comes, even if all of it comes at once.
        HEAD % b"" + b"a:\n" * 60_000 + b"\r\n",
        HEAD % (b"?" + b"a&" * 100) + b"\r\n",
        CHUNKED + b"2\r\nxx\r\n" * 1_001,
    ],
    ids=["fields", "all at once", "parameters", "crumbs"],
)
async def test_what_costs_more_to_parse_than_to_send_is_refused(cloud: Cloud, raw: bytes) -> None:
    port = int(cloud.engine.base_url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    assert await reader.readuntil(b"\r\n") == b"HTTP/1.1 400 Bad Request\r\n"
    writer.close()


@pytest.mark.parametrize(
    "raw",
    [
        HEAD % b"?a=1&b=2" + b"a: b\r\n" * 60 + b"\r\n",
        CHUNKED + b"2\r\nxx\r\n" * 1_000 + b"0\r\n\r\n",
    ],
    ids=["fields", "crumbs"],
)
async def test_what_callers_send_is_taken(cloud: Cloud, raw: bytes) -> None:
    port = int(cloud.engine.base_url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    assert await reader.readuntil(b"\r\n") == b"HTTP/1.1 200 OK\r\n"
    writer.close()


def assert_lines(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    said = "".join(capsys.readouterr())
    assert "Traceback" not in said
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("begun", [b"", UPGRADE[:20]], ids=["nothing", "half"])
async def test_a_request_that_is_not_sent_is_given_up(
    begun: bytes, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.serving.patient_http.HEAD_TIMEOUT_S", 0.2)
    number = int(cloud.engine.base_url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", number)
    writer.write(begun)
    async with asyncio.timeout(60):
        # What is cut off ends, or is reset.
        with suppress(ConnectionError):
            await reader.read()
    writer.close()
