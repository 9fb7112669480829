"""Appends of many callers go in few transactions, and each has an outcome of its own."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeVar

import pytest

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.conversation import ConversationEvent, TurnStarted
from services.task.jobs import Jobs
from services.task.journal.database import Database, Work
from services.task.journal.journal import sql_journal
from services.task.ports.journal import Journal
from services.task.sqlite.database import opened
from tests.support.journal import GRACE, NOW, add, end, event
from tests.support.task import ManualClock

T = TypeVar("T")

CALLERS = 50
STARTED = TurnStarted(origin=1, user_text="Hello.", language_code="en")
UNSTORABLE = event(1, 2**63, STARTED)
"""Its turn id fits no column."""


class CountingDatabase:
    """A database that counts what it is asked to write."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.transactions = 0

    async def transact(self, work: Work[T]) -> T:
        """Run a transaction."""
        self.transactions += 1
        return await self._database.transact(work)

    async def read(self, work: Work[T]) -> T:
        """Run a transaction that only reads."""
        return await self._database.read(work)

    async def purge(self) -> None:
        """Leave no copy of what was deleted."""
        await self._database.purge()


@pytest.fixture
async def counting(tmp_path: Path) -> AsyncIterator[CountingDatabase]:
    async with opened(tmp_path / "tasks.sqlite3", lambda _: None) as database:
        yield CountingDatabase(database)


async def append(journal: Journal, task_id: str, *events: ConversationEvent) -> int:
    return await journal.conversations.append(task_id, events, closing_grace=GRACE)


async def test_appends_at_the_same_time_share_a_transaction(
    counting: CountingDatabase, clock: ManualClock
) -> None:
    async with Jobs() as jobs:
        journal = sql_journal(counting, clock, jobs)
        tasks = [await add(journal, number) for number in range(CALLERS)]
        counting.transactions = 0
        last = await asyncio.gather(*(append(journal, each.task_id, event(1)) for each in tasks))
        assert (last, counting.transactions) == ([1] * CALLERS, 1)
        # While one is written, those that come wait and go together.
        first = asyncio.create_task(append(journal, tasks[0].task_id, event(2)))
        while counting.transactions < 2:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await asyncio.gather(first, *(append(journal, each.task_id, event(2)) for each in tasks))
        assert counting.transactions == 3


async def test_a_refusal_affects_no_other_append(journal: Journal) -> None:
    talking, gap, over, twice = [(await add(journal, number)).task_id for number in range(4)]
    await end(journal, over)
    outcomes = await asyncio.gather(
        append(journal, talking, event(1, 1, STARTED)),
        append(journal, gap, event(1), event(3)),
        append(journal, "task_unknown", event(1)),
        append(journal, over, event(1, 1, STARTED, time=NOW + GRACE)),
        append(journal, twice, event(1), event(2)),
        append(journal, twice, event(2), event(3)),
        append(journal, twice, event(5)),
        return_exceptions=True,
    )
    assert [each.reason if isinstance(each, ServiceError) else each for each in outcomes] == [
        1,
        Reason.EVENTS_OUT_OF_ORDER,
        Reason.TASK_NOT_FOUND,
        Reason.TASK_ENDED,
        2,
        3,
        Reason.EVENTS_OUT_OF_ORDER,
    ]
    said = [
        await journal.conversations.read(each, after_turn_id=0, after_sequence=0)
        for each in (talking, gap, over, twice)
    ]
    assert [each.last_sequence for each in said] == [1, 0, 0, 3]
    assert [turn.user_text for turn in said[0].turns] == ["Hello."]


async def test_what_cannot_be_stored_affects_no_other_append(journal: Journal) -> None:
    tasks = [(await add(journal, number)).task_id for number in range(3)]
    outcomes = await asyncio.gather(
        append(journal, tasks[0], event(1)),
        append(journal, tasks[1], UNSTORABLE),
        append(journal, tasks[2], event(1)),
        return_exceptions=True,
    )
    assert isinstance(outcomes[1], Exception)
    assert (outcomes[0], outcomes[2]) == (1, 1)
    assert await append(journal, tasks[1], event(1)) == 1
