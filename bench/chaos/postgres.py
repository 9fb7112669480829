"""A PostgreSQL server that writes to the disk for certain, and can be killed."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.postgres import OwnServer, own_server

_SETTINGS = ("max_connections=200",)
_START_ATTEMPTS = 20
_PAUSE_S = 0.5


class KillableServer:
    """The server of a run."""

    def __init__(self, own: OwnServer) -> None:
        self._own = own
        self.dsn = own.server.url

    @property
    def pid(self) -> int:
        """Its first process."""
        return self._own.pid

    async def start(self) -> None:
        """Start it again, once the processes of the killed one are gone."""
        for attempt in range(1, _START_ATTEMPTS + 1):
            try:
                await asyncio.to_thread(self._own.start)
                return
            except AssertionError:
                if attempt == _START_ATTEMPTS:
                    raise
                await asyncio.sleep(_PAUSE_S)

    async def kill(self) -> None:
        """Kill its first process; the others notice."""
        os.kill(self.pid, signal.SIGKILL)


@contextmanager
def killable_server() -> Iterator[KillableServer]:
    """Run a server until the block is left."""
    with own_server(_SETTINGS) as own:
        yield KillableServer(own)
