"""Messages come as they were sent, however the network cuts them up."""

import asyncio
import itertools
import os
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from gateway.server.frame_limit import SLICE_BYTES
from gateway.server.serving import serving
from gateway.server.sound_socket import sound_passed_to, whole_message

SIZES = (0, 1, 2, 125, 126, 127, 640, 3_200, 65_535, 65_536, 70_000)


@asynccontextmanager
async def connected(
    takes: Callable[[], bool] = lambda: False,
) -> AsyncIterator[tuple[asyncio.StreamWriter, asyncio.Queue[Any]]]:
    """A client that writes bytes, and what the application behind the socket gets of them.

    It `takes` sound that is passed to it, or leaves it to be received; "enough" ends that.
    """
    got: asyncio.Queue[Any] = asyncio.Queue()

    def take(sound: bytes) -> bool:
        is_taken = takes()
        if is_taken:
            got.put_nowait(sound)
        return is_taken

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        with sound_passed_to(take, scope):
            message = await received(receive, until="enough")
        if message["type"] == "websocket.receive":
            message = await received(receive)
        got.put_nowait(message["code"])

    async def received(receive: Any, until: str | None = None) -> Any:
        while (message := await receive())["type"] == "websocket.receive":
            got.put_nowait(message.get("bytes", message.get("text")))
            if message.get("text", "") == until:
                break
        return message

    async with serving(app, host="127.0.0.1", port=0) as url:
        address = urlsplit(url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        client = ClientProtocol(parse_uri(url.replace("http", "ws", 1)))
        client.send_request(client.connect())
        writer.writelines(client.data_to_send())
        await reader.readuntil(b"\r\n\r\n")
        try:
            yield writer, got
        finally:
            writer.close()


def sound(size: int, *, fin: bool = True) -> bytes:
    """Return a frame as a client writes it."""
    return Frame(Opcode.BINARY, os.urandom(size), fin=fin).serialize(mask=True)


def payload(frame: bytes) -> bytes:
    """Return what a frame of sound holds, as the parser would read it."""
    head = 2 + (2 if frame[1] & 0x7F == 126 else 8 if frame[1] & 0x7F == 127 else 0)
    mask = frame[head : head + 4]
    return bytes(each ^ mask[at % 4] for at, each in enumerate(frame[head + 4 :]))


async def told(writer: asyncio.StreamWriter, pieces: Sequence[bytes]) -> None:
    """Write pieces so that each may come alone."""
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.002)


@pytest.mark.parametrize("size", SIZES)
def test_a_whole_message_is_read_and_nothing_else_is(size: int) -> None:
    frame = sound(size)
    assert whole_message(frame) == (payload(frame) if 2 <= size <= 65_535 else None)
    assert whole_message(frame[:-1]) is None
    assert whole_message(frame + b"\x82") is None
    assert whole_message(sound(size, fin=False)) is None
    assert whole_message(Frame(Opcode.TEXT, b"a" * size).serialize(mask=True)) is None
    assert whole_message(Frame(Opcode.BINARY, bytes(size)).serialize(mask=False)) is None


@pytest.mark.parametrize("seed", range(5))
async def test_messages_come_in_order_however_they_are_cut(seed: int) -> None:
    randomness = random.Random(seed)
    frames = [sound(randomness.choice(SIZES)) for _ in range(40)]
    expected = [payload(frame) for frame in frames]
    stream = b"".join(frames)
    cuts = sorted(randomness.sample(range(1, len(stream)), 60))
    # Some at the very end of a message, so that the next one comes alone.
    at = 0
    for frame in frames:
        at += len(frame)
        if randomness.random() < 0.7:
            cuts.append(at)
    cuts = sorted({0, *cuts, len(stream)})
    pieces = [stream[a:b] for a, b in itertools.pairwise(cuts)]
    async with asyncio.timeout(20), connected() as (writer, got):
        await told(writer, pieces)
        assert [await got.get() for _ in expected] == expected


async def test_other_kinds_of_messages_come_between() -> None:
    begun, middle = sound(300, fin=False), Frame(Opcode.CONT, b"x" * 10, fin=False)
    end = Frame(Opcode.CONT, b"end")
    alone = sound(640)
    pieces = [
        alone,
        Frame(Opcode.TEXT, "früh".encode()).serialize(mask=True),
        begun,
        Frame(Opcode.PING, b"are you there").serialize(mask=True),
        middle.serialize(mask=True),
        end.serialize(mask=True),
        alone,
        Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=True),
    ]
    async with asyncio.timeout(20), connected() as (writer, got):
        await told(writer, pieces)
        assert await got.get() == payload(alone)
        assert await got.get() == "früh"
        assert await got.get() == payload(begun) + b"x" * 10 + b"end"
        assert await got.get() == payload(alone)
        assert await got.get() == 1000


@pytest.mark.parametrize("seed", range(5))
async def test_sound_that_is_taken_as_it_comes_stays_in_order(seed: int) -> None:
    randomness = random.Random(seed)
    texts = [Frame(Opcode.TEXT, str(each).encode()).serialize(mask=True) for each in range(10)]
    frames = [sound(640) for _ in range(40)]
    told_frames = randomness.sample([*frames, *texts], 50)
    expected = [payload(each) if each in frames else str(texts.index(each)) for each in told_frames]
    taken: list[bool] = []

    def takes() -> bool:
        taken.append(randomness.random() < 0.7)
        return taken[-1]

    async with asyncio.timeout(20), connected(takes) as (writer, got):
        for each in told_frames:
            writer.write(each)
            await writer.drain()
            # The next one may come before the application has received this one.
            await asyncio.sleep(randomness.choice((0, 0.002)))
        assert [await got.get() for _ in expected] == expected
    assert set(taken) == {True, False}


async def test_sound_is_received_again_once_nobody_takes_it_as_it_comes() -> None:
    alone = sound(640)
    enough = Frame(Opcode.TEXT, b"enough").serialize(mask=True)
    taken: list[None] = []

    def takes() -> bool:
        taken.append(None)
        return True

    async with asyncio.timeout(20), connected(takes) as (writer, got):
        await told(writer, [alone, enough, alone])
        assert [await got.get() for _ in range(3)] == [payload(alone), "enough", payload(alone)]
    assert len(taken) == 1


async def test_a_message_within_another_is_refused() -> None:
    async with asyncio.timeout(20), connected() as (writer, got):
        await told(writer, [sound(300, fin=False), sound(640)])
        assert await got.get() == 1002


async def test_sound_that_is_not_masked_is_refused() -> None:
    async with asyncio.timeout(20), connected() as (writer, got):
        await told(writer, [Frame(Opcode.BINARY, bytes(640)).serialize(mask=False)])
        assert await got.get() == 1002


async def test_others_are_served_between_the_slices_of_a_flood() -> None:
    count = 40_000
    flood = sound(2) * count
    async with asyncio.timeout(20), connected() as (writer, got):
        writer.write(flood)
        # What has come whenever others had their turn.
        seen = set()
        while got.qsize() < count:
            seen.add(got.qsize())
            await asyncio.sleep(0)
    # The application may take what several slices have brought.
    assert len(seen) >= len(flood) // SLICE_BYTES // 4
