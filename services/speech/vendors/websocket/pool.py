"""Connections to a vendor that serve one task after the other."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Self, TypeAlias

from services.speech.ports import ProviderError
from services.speech.vendors.websocket.client import VendorSocket

Connect: TypeAlias = Callable[[], AbstractAsyncContextManager[VendorSocket]]


@dataclass(slots=True, kw_only=True)
class Loan:
    """A connection for one task; who ends the task cleanly says that it `can_be_reused`."""

    socket: VendorSocket
    can_be_reused: bool = False


@dataclass(frozen=True, slots=True)
class _Connection:
    socket: VendorSocket
    lifetime: AsyncExitStack


class SocketPool:
    """Keeps a connection open between tasks, and closes each on which a task broke off.

    Closing happens in the background, as does opening the next one, so that neither a listener
    who interrupts nor the next task waits for it.
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._idle: list[_Connection] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._warming: asyncio.Task[None] | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, connect: Connect) -> AsyncIterator[Self]:
        """A pool of the connections that `connect` opens; empty at first."""
        pool = cls(connect)
        try:
            yield pool
        finally:
            await pool._close()

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Loan]:
        """An idle connection that still works, otherwise a new one.

        Raises ProviderError if none can be opened.
        """
        connection = await self._take() or await self._opened()
        loan = Loan(socket=connection.socket)
        try:
            yield loan
        finally:
            if loan.can_be_reused and loan.socket.is_open:
                self._keep(connection)
            else:
                self._drop(connection)
                self._warm()

    async def _take(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            is_alive = False
            try:
                is_alive = await connection.socket.is_alive()
            finally:
                if not is_alive:
                    self._drop(connection)
            if is_alive:
                return connection
        return None

    def _keep(self, connection: _Connection) -> None:
        closed = [each for each in self._idle if not each.socket.is_open]
        for each in closed:
            self._idle.remove(each)
            self._drop(each)
        self._idle.append(connection)

    async def _opened(self) -> _Connection:
        lifetime = AsyncExitStack()
        return _Connection(await lifetime.enter_async_context(self._connect()), lifetime)

    def _drop(self, connection: _Connection) -> None:
        task = asyncio.create_task(connection.lifetime.aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _warm(self) -> None:
        if not self._idle and (self._warming is None or self._warming.done()):
            self._warming = asyncio.create_task(self._open_idle())

    async def _open_idle(self) -> None:
        with suppress(ProviderError):  # The next task meets it itself.
            self._keep(await self._opened())

    async def _close(self) -> None:
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.wait({self._warming})
        while self._idle:
            self._drop(self._idle.pop())
        if self._closing:
            await asyncio.wait(self._closing)
