"""The drive WebSocket against real servers: well-behaved, dead, and not to be trusted."""

import asyncio
import hashlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.server import ServerConnection, serve

from engine.serving.certificate import Identity, make_identity, publish, server_context
from services.avatar.ports import DriveLostError
from services.avatar.vendor.messages import OpenedDrive
from services.avatar.vendor.socket import DriveSocket, ProxyOf, SocketPatience, drive_socket
from services.avatar.vendor.trust import SocketTrust, Verification
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from tests.support.avatar_rig import make_tone
from tests.support.forward_proxy import forward_proxy

TRUST = SocketTrust(verification=Verification.NAMED)
PATIENT = SocketPatience(open_s=20, send_s=20, close_s=20)
Handler = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0, compression=None, close_timeout=0.3) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws?Token=secret"


def connect(
    address: str,
    *,
    on_lost: Callable[[], None] = lambda: None,
    trust: SocketTrust = TRUST,
    patience: SocketPatience = PATIENT,
    proxy_of: ProxyOf = lambda url: None,
) -> Any:
    return drive_socket(
        OpenedDrive.model_validate({"DriveId": "drive-1", "WssAddress": address}),
        sample_rate_hertz=24_000,
        trust=trust,
        patience=patience,
        proxy_of=proxy_of,
        on_lost=on_lost,
    )


class Recorder:
    """A server that keeps what it gets."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.ended = asyncio.Event()

    async def handle(self, connection: ServerConnection) -> None:
        async for message in connection:
            self.messages.append(message if isinstance(message, bytes) else json.loads(message))
        self.ended.set()


async def test_a_drive_is_started_fed_and_stopped() -> None:
    recorder = Recorder()
    async with serving(recorder.handle) as address:
        async with connect(address) as socket:
            await socket.send(b"\1\0")
            await socket.send(b"\2\0\3\0")
        await recorder.ended.wait()

    start, first, second, stop = recorder.messages
    assert start["Action"] == "Start"
    assert start["Payload"] == {"DriveId": "drive-1", "SampleRate": 24_000, "Channel": 1}
    assert (first, second) == (b"\1\0", b"\2\0\3\0")
    assert (stop["Action"], stop["Payload"]) == ("Stop", {"DriveId": "drive-1"})
    assert start["SequenceID"] != stop["SequenceID"]


async def test_after_an_error_the_audio_is_not_declared_whole() -> None:
    recorder = Recorder()

    async def break_off(socket: DriveSocket) -> None:
        await socket.send(b"\0\0")
        raise RuntimeError("broken off")

    async with serving(recorder.handle) as address:
        with pytest.raises(RuntimeError, match="broken off"):
            async with connect(address) as socket:
                await break_off(socket)
        await recorder.ended.wait()
    assert [each["Action"] for each in recorder.messages if isinstance(each, dict)] == ["Start"]


async def test_half_a_sample_never_leaves() -> None:
    recorder = Recorder()
    async with serving(recorder.handle) as address:
        async with connect(address) as socket:
            with pytest.raises(ValueError, match="whole samples"):
                await socket.send(b"\0\0\0")
        await recorder.ended.wait()
    assert not any(isinstance(each, bytes) for each in recorder.messages)


async def test_a_server_that_goes_away_is_noticed_without_sending() -> None:
    async def leave(connection: ServerConnection) -> None:
        await connection.recv()
        connection.transport.abort()

    lost = asyncio.Event()
    async with serving(leave) as address:

        async def wait_for_the_loss() -> None:
            async with connect(address, on_lost=lost.set) as socket:
                await asyncio.wait_for(lost.wait(), 20)
                assert not socket.is_open

        with pytest.raises(DriveLostError):
            await wait_for_the_loss()


async def test_what_the_server_says_does_not_stop_the_drive() -> None:
    async def chatter(connection: ServerConnection) -> None:
        for number in range(200):
            await connection.send(f"noise {number}")
        await recorder.handle(connection)

    recorder = Recorder()
    async with serving(chatter) as address:
        async with connect(address) as socket:
            await socket.send(b"\0\0")
        await recorder.ended.wait()
    assert len(recorder.messages) == 3


async def test_a_server_that_takes_no_more_audio_is_given_up() -> None:
    stuck = asyncio.Event()

    async def stall(connection: ServerConnection) -> None:
        await stuck.wait()

    async def send_without_end(address: str) -> None:
        pcm = make_tone(20)
        patience = SocketPatience(open_s=20, send_s=0.3, close_s=0.3)
        async with connect(address, patience=patience) as socket:
            while True:
                await socket.send(pcm)

    async with serving(stall) as address:
        with pytest.raises(DriveLostError, match="takes no more audio"):
            await send_without_end(address)
        stuck.set()


async def test_a_server_that_does_not_answer_is_given_up() -> None:
    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        given_up.set()

    given_up = asyncio.Event()
    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        hasty = SocketPatience(open_s=0.3)
        said = await refusal(f"ws://127.0.0.1:{port}/ws?Token=secret", patience=hasty)
        assert said == "The drive server did not answer in time."
        await asyncio.wait_for(given_up.wait(), 20)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "wss://127.0.0.1/ws?Token=secret",
        "wss:///ws?Token=secret",
        "wss://127.0.0.1:99999/ws?Token=secret",
        "wss://[::1/ws?Token=secret",
        "http://127.0.0.1:80/ws?Token=secret",
        "ws://203.0.113.1:80/ws?Token=secret",
        "ws://localhost.example:80/ws?Token=secret",
        "wss://user@127.0.0.1:1/ws?Token=secret",
        "wss://127.0.0.1:1/ws?Token=secret#fragment",
    ],
)
async def test_an_odd_address_is_refused_without_repeating_it(address: str) -> None:
    assert "secret" not in await refusal(address)


async def test_a_redirect_is_not_followed() -> None:
    recorder = Recorder()
    async with serving(recorder.handle) as elsewhere:

        async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 302 Found\r\nLocation: {elsewhere}\r\n\r\n".encode())
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(redirect, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            await refusal(f"ws://127.0.0.1:{port}/ws?Token=secret")
    assert recorder.messages == []


async def refusal(address: str, **options: Any) -> str:
    with pytest.raises(ServiceError) as caught:
        async with connect(address, **options):
            pass
    assert caught.value.reason is Reason.CLOUD_UNREACHABLE
    return caught.value.message


async def test_the_pinned_certificate_is_accepted(open_rig: Any) -> None:
    first = await open_rig(relays=False)
    pem = await asyncio.to_thread(
        ssl.get_server_certificate, ("127.0.0.1", first.engine.drive_port)
    )
    pin = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    second = await open_rig(
        relays=False, cloud_url=first.engine.base_url, drive_fingerprints=pin.upper()
    )
    avatar_id = await second.start()
    speaker = second.drive()
    await speaker.setup(avatar_id)
    await speaker.until("drive_started")


@asynccontextmanager
async def engine_like(handler: Handler, identity: Identity) -> AsyncIterator[str]:
    context = server_context(identity)
    async with serve(handler, "127.0.0.1", 0, ssl=context, compression=None) as server:
        yield f"wss://localhost:{server.sockets[0].getsockname()[1]}/ws?Token=secret"


async def test_the_engine_is_known_by_the_certificate_that_it_put_there(tmp_path: Path) -> None:
    place = tmp_path / "engine.pem"
    trust = SocketTrust(verification=Verification.NAMED, certificate=place)
    first, second = make_identity("localhost"), make_identity("localhost")
    recorder = Recorder()
    async with engine_like(recorder.handle, first) as address:
        await refusal(address, trust=trust)  # There is none yet.
        publish(second, place)
        await refusal(address, trust=trust)
        publish(first, place)
        async with connect(address, trust=trust):
            pass
    # A new start is a new certificate.
    async with engine_like(recorder.handle, second) as address:
        await refusal(address, trust=trust)
        publish(second, place)
        async with connect(address, trust=trust):
            pass
        await refusal(address.replace("localhost", "127.0.0.1"), trust=trust)


async def test_a_drive_server_is_reached_through_the_proxy_for_it() -> None:
    recorder = Recorder()
    async with serving(recorder.handle) as address:
        there = urlsplit(address)
        assert there.port is not None
        async with (
            forward_proxy(("127.0.0.1", there.port)) as proxy,
            connect(address, proxy_of=lambda url: proxy.url) as socket,
        ):
            await socket.send(bytes(480))
        assert proxy.asked == [f"CONNECT {there.netloc} HTTP/1.1"]


async def test_a_proxy_that_refuses_is_no_connection() -> None:
    async with forward_proxy() as proxy:
        said = await refusal("ws://127.0.0.1:9/ws?Token=secret", proxy_of=lambda url: proxy.url)
    assert "secret" not in said
