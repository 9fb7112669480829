"""This replica among the others: a heartbeat, by which they know that it lives."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count

from services.avatar.postgres.database import Database, DatabaseAwayError
from services.avatar.telemetry import REPLICAS
from services.runtime.clock import since_boot

BEAT_S = 1.0
OVERDUE_S = 2.0
LIVES_S = 4.0
"""How long a replica counts as alive after a heartbeat."""
_SWEPT_EVERY = 60

_BEAT = """
    WITH beat AS (
        INSERT INTO avatar.replicas (replica_id, address, expires_at)
        VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3))
        ON CONFLICT (replica_id) DO UPDATE SET expires_at = excluded.expires_at
    )
    SELECT count(*) + 1 AS replicas FROM avatar.replicas
    WHERE expires_at > clock_timestamp() AND address <> $2
"""
_LEAVE = "DELETE FROM avatar.replicas WHERE replica_id = $1"
# A task lives for a day at most.
_SWEEP = """
    WITH dead AS (DELETE FROM avatar.replicas WHERE expires_at < clock_timestamp())
    DELETE FROM avatar.drives AS drive
    WHERE taken_at < clock_timestamp() - interval '1 day'
        OR NOT EXISTS (
            SELECT FROM avatar.replicas AS replica
            WHERE replica.replica_id = drive.replica_id AND expires_at > clock_timestamp()
        )
"""


class Replica:
    """One run of this process; `count` is how many replicas were alive when last known."""

    def __init__(
        self, database: Database, *, address: str, clock: Callable[[], float] = since_boot
    ) -> None:
        self.replica_id = uuid.uuid4()
        self.count = 1
        self._database = database
        self.address = address
        self._beat_at = float("-inf")
        self._beating_since = float("inf")
        self.now = clock

    def was_beating_since(self, at: float) -> bool:
        """Whether no heartbeat has been overdue since a time, as during a pause of the process.

        Otherwise others may have waited in vain for an answer, or have taken it for dead.
        """
        return self._beating_since <= at and not self._is_overdue(self.now())

    async def beat(self) -> None:
        """Let the others know that this replica lives; raises DatabaseAwayError."""
        # The time before: the database may count from any moment after it.
        began = self.now()
        try:
            row = await self._database.insist(_BEAT, self.replica_id, self.address, LIVES_S)
        except DatabaseAwayError:
            REPLICAS.set(0)
            raise
        if self._is_overdue(began):
            self._beating_since = began
        self._beat_at = began
        assert row is not None
        self.count = row["replicas"]
        REPLICAS.set(self.count)

    async def keep_beating(self) -> None:
        """Beat until cancelled, and clear away now and then what the dead have left."""
        for number in count():
            with suppress(DatabaseAwayError):
                await self.beat()
                if number % _SWEPT_EVERY == 0:
                    await self.sweep()
            await asyncio.sleep(BEAT_S)

    async def sweep(self) -> None:
        """Clear away what the dead have left; raises DatabaseAwayError."""
        await self._database.ask(_SWEEP)

    async def leave(self) -> None:
        """Let the others know that this replica is gone."""
        with suppress(DatabaseAwayError):
            await self._database.ask(_LEAVE, self.replica_id)

    def _is_overdue(self, now: float) -> bool:
        return now > self._beat_at + OVERDUE_S


@asynccontextmanager
async def alive(database: Database, *, address: str) -> AsyncIterator[Replica]:
    """Be a replica that others find at this address, until the block is left."""
    replica = Replica(database, address=address)
    with suppress(DatabaseAwayError):
        await replica.beat()
    beating = asyncio.create_task(replica.keep_beating())
    try:
        yield replica
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        await replica.leave()
