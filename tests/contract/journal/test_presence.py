"""Whose client is gone for too long, when that could be noted."""

from datetime import timedelta

from services.task.domain.tasks import Task
from services.task.ports.journal import Journal
from tests.support.journal import NOW, add, client, put_on_air
from tests.support.task import ManualClock

MINUTE = timedelta(minutes=1)
EARLY = NOW - timedelta(days=1)


async def on_air(journal: Journal, number: int) -> Task:
    """Put a task on air whose client may be gone for a minute."""
    made = await add(journal, number, max_absence=MINUTE, seen_time=NOW)
    return await put_on_air(journal, made.task_id)


async def note(journal: Journal, clock: ManualClock, *task_ids: str) -> None:
    await journal.clients.note_seen(dict.fromkeys(map(client, task_ids), clock()))


async def absent(journal: Journal, **since: timedelta) -> list[str]:
    found = await journal.clients.absent(noted_since=NOW + since.get("since", timedelta(days=-1)))
    return [task.task_id for task in found]


async def test_a_task_whose_client_is_gone_is_found(journal: Journal, clock: ManualClock) -> None:
    left, there = await on_air(journal, 1), await on_air(journal, 2)
    await put_on_air(journal, (await add(journal, 3)).task_id)
    await add(journal, 4, max_absence=MINUTE, seen_time=NOW)
    clock.advance(45)
    await note(journal, clock, there.task_id, "task_unknown")
    assert await absent(journal) == []
    clock.advance(31)
    assert await absent(journal) == [left.task_id], "not one that is not on air, or may be alone"


async def test_a_client_that_could_not_be_noted_is_not_gone(
    journal: Journal, clock: ManualClock
) -> None:
    left = await on_air(journal, 1)
    clock.advance(90)
    assert await absent(journal, since=timedelta(seconds=30)) == []
    assert await absent(journal, since=timedelta(seconds=10)) == [left.task_id]


async def test_a_client_is_noted_no_more_often_than_needed(
    journal: Journal, clock: ManualClock
) -> None:
    there = await on_air(journal, 1)
    clock.advance(10)
    await note(journal, clock, there.task_id)
    assert (await journal.tasks.get(there.task_id)).seen_time == NOW
    clock.advance(6)
    await note(journal, clock, there.task_id)
    seen = (await journal.tasks.get(there.task_id)).seen_time
    assert seen is not None
    assert seen > NOW + timedelta(seconds=15)
