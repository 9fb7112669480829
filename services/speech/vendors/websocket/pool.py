"""Connections to a vendor that serve one task after the other."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Self, TypeAlias

from services.speech.ports.errors import ProviderError
from services.speech.vendors.websocket.client import VendorSocket

OLDEST_S = 480.0
"""Vendors end connections that have lasted long, in the middle of a reply if need be: Azure after
ten minutes. One that has lasted so long serves no further task."""

Connect: TypeAlias = Callable[[], AbstractAsyncContextManager[VendorSocket]]
Idle: TypeAlias = Callable[[VendorSocket], Awaitable[None]]


@dataclass(slots=True, kw_only=True)
class Loan:
    """A connection for one task; who ends the task cleanly says that it `can_be_reused`."""

    socket: VendorSocket
    can_be_reused: bool = False


@dataclass(frozen=True, slots=True)
class _Connection:
    socket: VendorSocket
    lifetime: AsyncExitStack
    opened_at: float

    @property
    def can_serve(self) -> bool:
        """Whether it may be kept for another task."""
        age_s = asyncio.get_running_loop().time() - self.opened_at
        return self.socket.is_open and age_s < OLDEST_S


class SocketPool:
    """Keeps a connection open between tasks, and closes each on which a task broke off.

    Closing happens in the background, as does opening the next one, so that neither a listener
    who interrupts nor the next task waits for it. A connection idles until the vendor closes it, or
    until `idle` returns, which may send what the vendor wants to hear meanwhile.
    """

    def __init__(self, connect: Connect, idle: Idle | None = None) -> None:
        self._connect = connect
        self._wait = idle
        self._waiting: dict[VendorSocket, asyncio.Task[None]] = {}
        self._is_closed = False
        self._idle: list[_Connection] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._warming: asyncio.Task[None] | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, connect: Connect, idle: Idle | None = None) -> AsyncIterator[Self]:
        """A pool of the connections that `connect` opens; empty at first."""
        pool = cls(connect, idle)
        try:
            yield pool
        finally:
            await pool.close()

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
            if loan.can_be_reused and connection.can_serve and not self._is_closed:
                self._keep(connection)
            else:
                self._drop(connection)
                self._warm()

    async def _take(self) -> _Connection | None:
        while self._idle:
            connection = self._pop()
            is_alive = False
            try:
                is_alive = connection.can_serve and await connection.socket.is_alive()
            finally:
                if not is_alive:
                    self._drop(connection)
            if is_alive:
                return connection
        return None

    def _keep(self, connection: _Connection) -> None:
        spent = [each for each in self._idle if not each.can_serve]
        for each in spent:
            self._idle.remove(each)
            self._waiting.pop(each.socket, None)
            self._drop(each)
        self._idle.append(connection)
        if self._wait is not None:
            task = asyncio.create_task(self._idle_on(connection, self._wait))
            self._waiting[connection.socket] = task

    def _pop(self) -> _Connection:
        connection = self._idle.pop()
        if waiting := self._waiting.pop(connection.socket, None):
            waiting.cancel()
        return connection

    async def _idle_on(self, connection: _Connection, wait: Idle) -> None:
        with suppress(ProviderError):
            await wait(connection.socket)
        if self._waiting.pop(connection.socket, None):
            self._idle.remove(connection)
            self._drop(connection)

    async def _opened(self) -> _Connection:
        lifetime = AsyncExitStack()
        socket = await lifetime.enter_async_context(self._connect())
        return _Connection(socket, lifetime, opened_at=asyncio.get_running_loop().time())

    def _drop(self, connection: _Connection) -> None:
        task = asyncio.create_task(connection.lifetime.aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _warm(self) -> None:
        if not (self._idle or self._is_closed) and (self._warming is None or self._warming.done()):
            self._warming = asyncio.create_task(self._open_idle())

    async def _open_idle(self) -> None:
        with suppress(ProviderError):  # The next task meets it itself.
            self._keep(await self._opened())

    async def close(self) -> None:
        """Close all that idle, and those that are lent when they are given back."""
        self._is_closed = True
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.wait({self._warming})
        while self._idle:
            self._drop(self._pop())
        if self._closing:
            await asyncio.wait(self._closing)
