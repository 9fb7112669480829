"""Tells the task service whose clients are there: those with an open stream."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import groupby, islice
from operator import itemgetter
from typing import TypeAlias

import structlog

from services.runtime.callers.caller import acting_for, current_caller, of_tenant
from services.runtime.failures.errors import ServiceError
from services.speech.conversation.task_records import OnAir, TaskRecords

_Client: TypeAlias = tuple[str, str]
"""Tenant and task."""

log = structlog.get_logger(__name__)

NOTE_S = 1.0
"""A fifth of the shortest time that a client may be gone."""
MOST_AT_ONCE = 1000


class Clients:
    """Counts the open streams of tasks that end without a client; others cost nothing."""

    def __init__(self, records: TaskRecords) -> None:
        self._records = records
        self._streams: Counter[_Client] = Counter()

    @contextmanager
    def present(self, on_air: OnAir | None) -> Iterator[None]:
        """Note a task's client while the block is open."""
        if on_air is None or not on_air.needs_client:
            yield
            return
        client = current_caller().tenant_id, on_air.task_id
        self._streams[client] += 1
        try:
            yield
        finally:
            self._streams[client] -= 1
            self._streams += Counter()  # Drops those without a stream.

    async def note(self) -> None:
        """Tell of the open streams now and then, until cancelled."""
        while True:
            await asyncio.sleep(NOTE_S)
            for tenant_id, clients in groupby(sorted(self._streams), key=itemgetter(0)):
                with acting_for(of_tenant(tenant_id)):
                    await self._note([task_id for _, task_id in clients])

    async def _note(self, task_ids: Sequence[str]) -> None:
        remaining = iter(task_ids)
        while some := list(islice(remaining, MOST_AT_ONCE)):
            try:
                await self._records.note_clients(some)
            except ServiceError as error:
                log.warning("clients not noted", reason=error.reason.value)


@asynccontextmanager
async def noting_clients(records: TaskRecords) -> AsyncIterator[Clients]:
    """Note clients while the block is open."""
    clients = Clients(records)
    noting = asyncio.create_task(clients.note())
    try:
        yield clients
    finally:
        noting.cancel()
        await asyncio.wait({noting})
