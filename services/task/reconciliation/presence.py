"""Notes which clients are there: who watches a task, and who calls for it."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime

import structlog

from services.runtime.callers.caller import current_caller
from services.runtime.failures.errors import ServiceError
from services.task.domain.tasks import Clock, Task
from services.task.ports.clients import Client, Clients

log = structlog.get_logger(__name__)

NOTE_S = 1.0
"""Between two writes, each for all clients of this time."""


class Presence:
    """Collects the tasks whose clients are there; only those with a `max_absence` cost anything."""

    def __init__(self, clients: Clients, clock: Clock) -> None:
        self._clients = clients
        self._clock = clock
        self._watched: Counter[Client] = Counter()
        self._called: dict[Client, datetime] = {}

    def note(self, task_ids: Iterable[str]) -> None:
        """Note that the caller is there now, as the client of tasks."""
        self._note(map(_client, task_ids))

    @contextmanager
    def watching(self, task: Task) -> Iterator[None]:
        """Note that a task's client is there while the block is open, and when it is left."""
        if task.max_absence is None or task.state.is_final:
            yield
            return
        client = _client(task.task_id)
        self._watched[client] += 1
        try:
            yield
        finally:
            self._note([client])
            self._watched[client] -= 1
            self._watched += Counter()  # Drops those that watch no more.

    async def run(self) -> None:
        """Write down what was noted, until cancelled."""
        while True:
            await asyncio.sleep(NOTE_S)
            self._note(self._watched)
            seen, self._called = self._called, {}
            try:
                if seen:
                    await self._clients.note_seen(seen)
            except ServiceError as error:
                self._called = seen | self._called
                log.warning("clients not noted", reason=error.reason.value)

    def _note(self, clients: Iterable[Client]) -> None:
        self._called |= dict.fromkeys(clients, self._clock())


def _client(task_id: str) -> Client:
    return Client(task_id=task_id, caller=current_caller())
