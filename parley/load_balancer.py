"""One address before several gateways, to try them: `parley.load_balancer HOST:PORT GATEWAY…`.

Connections go in turn to the gateways that are ready, or to all that listen while none is. A
deployment has a load balancer instead.
"""

import asyncio
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import httpx

_PIECE_BYTES = 65_536
_POLL_S = 0.5
_ANSWER_TIMEOUT_S = 2.0
NOTICED_S = _POLL_S + _ANSWER_TIMEOUT_S
"""How long it may take until a gateway that is not ready gets no more connections."""


class LoadBalancer:
    """Passes connections on to gateways."""

    def __init__(self, gateways: Sequence[str]) -> None:
        self._turns = deque(gateways)
        self._ready: set[str] = set()

    async def poll(self, gateway: str, poll_s: float) -> None:
        """Find out again and again whether a gateway is ready, until cancelled."""
        async with httpx.AsyncClient(timeout=_ANSWER_TIMEOUT_S, trust_env=False) as client:
            while True:
                if await _is_ready(client, gateway):
                    self._ready.add(gateway)
                else:
                    self._ready.discard(gateway)
                await asyncio.sleep(poll_s)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass a connection on until both sides have ended it, or one has broken it."""
        async with _closing(writer):
            there_reader, there_writer = await self._connect()
            async with _closing(there_writer), asyncio.TaskGroup() as both:
                both.create_task(_pump(reader, there_writer))
                both.create_task(_pump(there_reader, writer))

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self._turns.rotate(-1)
        # One that is not ready may wait for a service to come back, as a call may.
        for gateway in sorted(self._turns, key=lambda each: each not in self._ready):
            with suppress(OSError):
                return await asyncio.open_connection(*_split(gateway))
        raise ConnectionRefusedError


@asynccontextmanager
async def balancing(
    address: str, gateways: Sequence[str], *, poll_s: float = _POLL_S
) -> AsyncIterator[int]:
    """Serve at `host:port` until the block is left; yields the port."""
    balancer = LoadBalancer(gateways)
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(balancer.serve(reader, writer))
        connections.add(connection)
        connection.add_done_callback(connections.discard)
        await asyncio.wait({connection})

    server = await asyncio.start_server(serve, *_split(address))
    polls = [asyncio.create_task(balancer.poll(each, poll_s)) for each in gateways]
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        rest = [*polls, *connections]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


@asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """Break the connection at the end; that the other side has done so is no error."""
    try:
        yield
    except* OSError:
        pass
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


async def _is_ready(client: httpx.AsyncClient, gateway: str) -> bool:
    try:
        return (await client.get(f"http://{gateway}/readyz")).is_success
    except httpx.TransportError:
        return False


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE_BYTES):
        writer.write(piece)
        await writer.drain()
    writer.write_eof()


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


async def main(address: str, *gateways: str) -> None:
    """Serve until a signal arrives."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with balancing(address, gateways):
        await stopped.wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
