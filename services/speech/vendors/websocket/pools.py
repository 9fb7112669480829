"""Connections to a vendor whose URLs say what the vendor lets nobody change later."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Self, TypeAlias

from services.speech.vendors.websocket.client import VendorSocket
from services.speech.vendors.websocket.pool import Idle, Loan, SocketPool

MOST_URLS = 16

ConnectTo: TypeAlias = Callable[[str], AbstractAsyncContextManager[VendorSocket]]


class SocketPools:
    """A pool for each URL, the most recently used ones."""

    def __init__(self, connect: ConnectTo, idle: Idle) -> None:
        self._connect = connect
        self._idle = idle
        self._pools: dict[str, SocketPool] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def open(cls, connect: ConnectTo, idle: Idle) -> AsyncIterator[Self]:
        """No connections at first; `idle` says how long one idles."""
        pools = cls(connect, idle)
        try:
            yield pools
        finally:
            for pool in pools._pools.values():
                await pool.close()
            if pools._closing:
                await asyncio.wait(pools._closing)

    @asynccontextmanager
    async def lend(self, url: str) -> AsyncIterator[Loan]:
        """A connection to a URL; raises ProviderError."""
        pool = self._pools.pop(url, None) or SocketPool(partial(self._connect, url), self._idle)
        self._pools[url] = pool
        if len(self._pools) > MOST_URLS:
            closing = asyncio.create_task(self._pools.pop(next(iter(self._pools))).close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        async with pool.lend() as loan:
            yield loan
