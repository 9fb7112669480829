"""Clients that do not answer pings are let go, and those whose answers were not read are not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from gateway.server.serving import serving

PONG_WITHIN_S = 0.5


class Application:
    """Takes messages once it is free to."""

    def __init__(self) -> None:
        self.is_free = asyncio.Event()
        self.got: asyncio.Queue[Any] = asyncio.Queue()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await self.is_free.wait()
        while (message := await receive())["type"] == "websocket.receive":
            self.got.put_nowait(message["text"])
        self.got.put_nowait(message["code"])


@asynccontextmanager
async def served(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Application, str]]:
    """An application behind a socket that asks often whether its client is there."""
    monkeypatch.setattr("gateway.server.serving.PING_EVERY_S", 0.05)
    monkeypatch.setattr("gateway.server.serving.PONG_WITHIN_S", PONG_WITHIN_S)
    application = Application()
    async with serving(application, host="127.0.0.1", port=0) as url:
        yield application, url.replace("http", "ws", 1)


async def test_who_answers_stays_however_long_nobody_reads_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with served(monkeypatch) as (application, url), connect(url) as client:
        # Behind the second message nothing is read until the first one was taken.
        for text in ("one", "two"):
            await client.send(text)
        await asyncio.sleep(3 * PONG_WITHIN_S)
        application.is_free.set()
        await client.send("three")
        async with asyncio.timeout(20):
            assert [await application.got.get() for _ in range(3)] == ["one", "two", "three"]


async def test_who_does_not_answer_is_let_go_though_nobody_has_read_at_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with served(monkeypatch) as (application, url):
        address = urlsplit(url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        client = ClientProtocol(parse_uri(url))
        client.send_request(client.connect())
        writer.writelines(client.data_to_send())
        await reader.readuntil(b"\r\n\r\n")
        for text in (b"one", b"two"):
            writer.write(Frame(Opcode.TEXT, text).serialize(mask=True))
        await asyncio.sleep(3 * PONG_WITHIN_S)
        application.is_free.set()
        async with asyncio.timeout(20):
            assert [await application.got.get() for _ in range(3)] == ["one", "two", 1005]
            await reader.read()
        writer.close()
