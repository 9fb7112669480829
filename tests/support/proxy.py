"""A network between a client and a server that a test can cut."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from tests.support.listening import listening

PIECE_BYTES = 4096


class Way:
    """One of two directions; what is held back on it is lost when the proxy is cut."""

    def __init__(self) -> None:
        self._passes = asyncio.Event()
        self._passes.set()
        self._held = b""
        self._came = asyncio.Event()
        self._bytes_per_s = 0
        self._change: Callable[[bytes], bytes] = lambda data: data

    def garble(self, change: Callable[[bytes], bytes]) -> None:
        """Pass on what is made of the bytes instead of them."""
        self._change = change

    def narrow(self, bytes_per_s: int) -> None:
        """Pass on no more than so much."""
        self._bytes_per_s = bytes_per_s

    def hold(self) -> None:
        """Pass nothing on any more."""
        self._passes.clear()

    async def holds(self, part: bytes) -> None:
        """Wait until this is held back."""
        while part not in self._held:
            self._came.clear()
            await self._came.wait()

    def mend(self) -> None:
        """Pass on what comes from now on."""
        self._held = b""
        self._change = lambda data: data
        self._passes.set()

    async def passed(self, data: bytes) -> bytes:
        """Wait until bytes may go on; return what goes on."""
        if not self._passes.is_set():
            self._held += data
            self._came.set()
            await self._passes.wait()
        if self._bytes_per_s:
            await asyncio.sleep(len(data) / self._bytes_per_s)
        return self._change(data)


class Proxy:
    """Passes bytes on, unless it is cut."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._connections: set[asyncio.Task[None]] = set()
        self._is_cut = False
        self._refused = asyncio.Event()
        self.url = ""
        self.up = Way()
        self.down = Way()

    def cut(self) -> None:
        """Break all connections, and every new one."""
        self._is_cut = True
        for connection in self._connections:
            connection.cancel()

    async def refuses(self) -> None:
        """Wait until a connection was broken as soon as it was made."""
        await self._refused.wait()

    @property
    def address(self) -> str:
        """Where it listens, host:port."""
        return urlsplit(self.url).netloc

    def mend(self) -> None:
        """Pass bytes on again."""
        self._is_cut = False
        self.up.mend()
        self.down.mend()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on until either side ends it."""
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        try:
            if self._is_cut:
                self._refused.set()
            else:
                await self._pass_on(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(connection)
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(*self._target)
        ways = [
            asyncio.create_task(_pump(reader, there_writer, self.up)),
            asyncio.create_task(_pump(there_reader, writer, self.down)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # First: a cut may cancel this while it waits for its two directions.
            there_writer.transport.abort()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
    with suppress(OSError):
        while data := await reader.read(PIECE_BYTES):
            writer.write(await way.passed(data))
            await writer.drain()


@asynccontextmanager
async def proxying(url: str) -> AsyncIterator[Proxy]:
    """Serve a proxy before an HTTP server."""
    target = urlsplit(url)
    assert target.hostname is not None
    assert target.port is not None
    proxy = Proxy(target.hostname, target.port)
    try:
        async with listening(proxy.serve) as port:
            proxy.url = f"http://127.0.0.1:{port}"
            yield proxy
    finally:
        proxy.cut()
