"""Nobody counts as gone for a time in which nobody could be noted."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from services.task.domain.tasks import StopReason, TaskState
from services.task.domain.usage import Budget, Period
from services.task.ports.journal import Journal
from services.task.reconciliation.ends import LONGEST_PAUSE_S, Ends
from services.task.sqlite.storage import sqlite_storage
from tests.support.journal import NOW, add, put_on_air
from tests.support.task import ManualClock

MINUTE = timedelta(minutes=1)
LATE_EVENING = NOW + timedelta(hours=23, minutes=59)


@pytest.fixture
async def journal(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Journal]:
    async with sqlite_storage(tmp_path / "tasks.sqlite3", clock) as storage:
        yield storage.journal


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def ends_of(journal: Journal, clock: ManualClock, budget: Budget | None = None) -> Ends:
    return Ends(
        replica_id="replica",
        replicas=journal.replicas,
        search=journal.search,
        clients=journal.clients,
        usage=journal.usage,
        end=journal.tasks.change,
        budget=budget,
        clock=clock,
    )


@pytest.mark.parametrize(("pause_s", "is_found"), [(LONGEST_PAUSE_S, True), (60, False)])
async def test_a_process_that_stood_still_waits_for_clients_again(
    journal: Journal, clock: ManualClock, pause_s: float, is_found: bool
) -> None:
    ends = ends_of(journal, clock)
    task = await add(journal, 1, max_absence=MINUTE, seen_time=NOW)
    await put_on_air(journal, task.task_id)
    clock.advance(80)
    ends.note_pause(pause_s)
    assert bool(await ends.find()) is is_found
    clock.advance(80)
    await ends.carry_out()
    assert (await journal.tasks.get(task.task_id)).stop_reason is StopReason.CLIENT_GONE


async def test_a_task_of_yesterday_has_the_budget_of_yesterday(
    journal: Journal, clock: ManualClock
) -> None:
    clock.advance(timedelta(hours=23, minutes=59).total_seconds())
    old = await add(journal, 1, user_id="ann", create_time=LATE_EVENING)
    await put_on_air(journal, old.task_id)
    clock.advance(120)
    new = await add(journal, 2, user_id="ann", create_time=clock())
    ends = ends_of(journal, clock, Budget(user_seconds=100, period=Period.DAY))
    await ends.carry_out()
    assert (await journal.tasks.get(old.task_id)).stop_reason is StopReason.BUDGET
    assert (await journal.tasks.get(new.task_id)).state is TaskState.CREATING
