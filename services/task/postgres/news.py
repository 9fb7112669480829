"""News of tasks between processes: NOTIFY within transactions, one LISTEN connection."""

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import uuid4

import asyncpg
import structlog

from services.task.notifier import TaskNotifier
from services.task.postgres.failures import name_of

if TYPE_CHECKING:
    PooledConnection: TypeAlias = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]

log = structlog.get_logger(__name__)

CHANNEL = "parley_tasks"
# The server takes less than 8000 bytes.
TASKS_PER_MESSAGE = 200
CONNECT_S = 5.0
RECONNECT_S = 1.0
POLL_S = 5.0
_ENDS = (
    "SELECT task_id, (SELECT max(sequence) FROM events WHERE events.task_id = watched.task_id)"
    " AS last FROM unnest($1::text[]) AS watched (task_id)"
)


class Sender:
    """Notifies other processes of tasks with news; by its name, this one recognises its own."""

    def __init__(self) -> None:
        self.name = uuid4().hex

    async def send(self, connection: "PooledConnection", task_ids: Collection[str]) -> None:
        """Send the tasks' ids when the connection's transaction is committed."""
        waiting = sorted(task_ids)
        while waiting:
            message = " ".join((self.name, *waiting[:TASKS_PER_MESSAGE]))
            await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, message)
            del waiting[:TASKS_PER_MESSAGE]


class Listener:
    """Wakes watchers for what other processes write.

    A connection may be lost, and with it a message. So all watchers are woken whenever one is made,
    and every few seconds the tables show which of the watched tasks have grown.
    """

    def __init__(self, url: str, sender: Sender, notifier: TaskNotifier) -> None:
        self._url = url
        self._sender = sender
        self._notifier = notifier
        self._ends: dict[str, int | None] = {}

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                await self._listen()
            except Exception as error:
                log.warning("listening to the database failed", error=name_of(error))
            self._notifier.publish_all()
            await asyncio.sleep(RECONNECT_S)

    async def _listen(self) -> None:
        """Listen until the connection is lost."""
        connection = await asyncpg.connect(
            self._url, timeout=CONNECT_S, command_timeout=CONNECT_S, statement_cache_size=0
        )
        try:
            is_lost = asyncio.Event()
            connection.add_termination_listener(lambda _: is_lost.set())
            await connection.add_listener(CHANNEL, self._receive)
            self._notifier.publish_all()
            while not is_lost.is_set():
                await _set_or_late(is_lost, POLL_S)
                # It also notices a server that vanished without a word.
                await self._poll(connection)
        finally:
            connection.terminate()

    async def _poll(self, connection: "Connection") -> None:
        """Wake the watchers of tasks that have grown since the last poll."""
        rows = await connection.fetch(_ENDS, self._notifier.watched())
        ends = {row["task_id"]: row["last"] for row in rows}
        for task_id, last in ends.items():
            if task_id not in self._ends or self._ends[task_id] != last:
                self._notifier.publish(task_id)
        self._ends = ends

    def _receive(self, _: Any, __: int, ___: str, message: object) -> None:
        sender, *task_ids = str(message).split(" ")
        if sender != self._sender.name:
            for task_id in task_ids:
                self._notifier.publish(task_id)


async def _set_or_late(event: asyncio.Event, timeout_s: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), timeout_s)
    except TimeoutError:
        return
