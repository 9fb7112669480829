"""What tasks cost: reports by task, by user and day, and budgets that hold."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.conversation import TurnClosed
from services.task.domain.provider_totals import ProviderTotals
from services.task.domain.tasks import Task, accepted
from services.task.domain.usage import (
    Budget,
    Grouping,
    Overspent,
    Period,
    Position,
    UsageFilter,
    UsageRow,
    Window,
)
from services.task.ports.journal import Journal
from services.task.ports.tasks import Quota
from tests.support.journal import GRACE, NOW, UNLIMITED, add, end, event, request, task
from tests.support.task import ManualClock

DAY = timedelta(days=1)
MONTH = Period.MONTH.around(NOW)
BUDGET = Budget(user_seconds=100, period=Period.DAY)
LIMITED = replace(UNLIMITED, budget=BUDGET)


async def run(journal: Journal, number: int, *, seconds: float, **fields: object) -> Task:
    """Add a task that costs so many seconds from its creation on."""
    made = await add(journal, number, **fields)
    accept = partial(accepted, avatar_id="a", digital_human_id="mia", at=made.create_time)
    await journal.tasks.change(made.task_id, accept)
    return await end(journal, made.task_id, at=made.create_time + timedelta(seconds=seconds))


async def all_rows(journal: Journal, grouping: Grouping, user_id: str = "") -> list[UsageRow]:
    """Return all rows, read one by one."""
    wanted = UsageFilter(window=MONTH, grouping=grouping, user_id=user_id)
    rows: list[UsageRow] = []
    after: Position | None = None
    while page := await journal.usage.report(wanted, after=after, size=1):
        rows += page
        after = rows[-1].position
    assert rows == list(await journal.usage.report(wanted, after=None, size=100))
    return rows


def brief(rows: list[UsageRow]) -> list[tuple[int, str, int, int, int]]:
    return [
        (row.position.time.day, row.user_id, row.tasks, row.turns, row.billable_seconds)
        for row in rows
    ]


async def fill(journal: Journal) -> None:
    """Add tasks of two days, one of nobody, one that was never accepted, one of another month."""
    await run(journal, 1, seconds=10.5, user_id="ann")
    said = [event(1, 1), event(2, 2)]
    second = await add(journal, 2, user_id="ann")
    await journal.conversations.append(second.task_id, said, closing_grace=GRACE)
    await run(journal, 3, seconds=7, user_id="", create_time=NOW)
    await run(journal, 4, seconds=3600, user_id="bob", create_time=NOW + DAY - timedelta(seconds=1))
    await run(journal, 5, seconds=5, user_id="ann", create_time=NOW + DAY)
    await run(journal, 6, seconds=5, user_id="ann", create_time=NOW - timedelta(microseconds=1))


async def test_each_user_has_a_row_for_each_day(journal: Journal) -> None:
    await fill(journal)
    assert brief(await all_rows(journal, Grouping.USER)) == [
        (1, "", 1, 0, 7),
        (1, "ann", 2, 0, 11),
        (1, "bob", 1, 0, 3600),
        (2, "ann", 1, 0, 5),
    ]
    assert brief(await all_rows(journal, Grouping.USER, "bob")) == [(1, "bob", 1, 0, 3600)]


async def test_each_task_has_a_row(journal: Journal) -> None:
    await fill(journal)
    rows = await all_rows(journal, Grouping.TASK)
    assert [row.task_id[-1] for row in rows] == ["3", "1", "2", "4", "5"]
    assert [row.billable_seconds for row in rows] == [7, 11, 0, 3600, 5]
    assert {row.user_id for row in await all_rows(journal, Grouping.TASK, "ann")} == {"ann"}


async def test_a_task_that_runs_costs_more_by_the_second(
    journal: Journal, clock: ManualClock
) -> None:
    made = await add(journal, 0, user_id="ann")
    accept = partial(accepted, avatar_id="a", digital_human_id="mia", at=made.create_time)
    await journal.tasks.change(made.task_id, accept)
    clock.advance(59.5)
    [row] = await all_rows(journal, Grouping.USER)
    assert row.billable_seconds == 60


async def test_a_task_gets_what_is_left_of_its_users_budget(journal: Journal) -> None:
    await run(journal, 1, seconds=60, user_id="ann", create_time=NOW)
    await run(journal, 2, seconds=90, user_id="ann", create_time=NOW - timedelta(hours=1))
    mine = await journal.tasks.add(task(3, user_id="ann"), None, LIMITED)
    assert mine.budget == timedelta(seconds=40)
    assert mine.expire_time == mine.create_time + timedelta(seconds=40)
    assert (await journal.tasks.get(mine.task_id)).budget == mine.budget
    others = await journal.tasks.add(task(4, user_id="bob"), None, LIMITED)
    assert others.budget == timedelta(seconds=100)
    nobodys = await journal.tasks.add(task(5), None, LIMITED)
    assert nobodys.budget is None


async def test_a_user_without_budget_is_told_when_there_is_one_again(journal: Journal) -> None:
    await run(journal, 1, seconds=91, user_id="ann", create_time=NOW)
    with pytest.raises(ServiceError) as refused:
        await journal.tasks.add(task(2, user_id="ann"), None, LIMITED)
    assert refused.value.reason is Reason.BUDGET_EXCEEDED
    assert refused.value.retry_after_s == pytest.approx(DAY.total_seconds(), abs=5)
    tomorrow = task(3, user_id="ann", create_time=NOW + DAY)
    assert (await journal.tasks.add(tomorrow, None, LIMITED)).budget == timedelta(seconds=100)


async def test_a_request_that_is_repeated_needs_no_budget(journal: Journal) -> None:
    first = await journal.tasks.add(task(1, user_id="ann"), request("one"), LIMITED)
    await run(journal, 2, seconds=100, user_id="ann", create_time=NOW)
    again = await journal.tasks.add(task(3, user_id="ann"), request("one"), LIMITED)
    assert again.task_id == first.task_id


async def test_tasks_created_at_the_same_time_cannot_pass_the_last_seconds(
    journal: Journal,
) -> None:
    quota = Quota(running=100, running_per_user=1, budget=BUDGET)
    made = await asyncio.gather(
        *(journal.tasks.add(task(number, user_id="ann"), None, quota) for number in range(8)),
        return_exceptions=True,
    )
    assert sum(isinstance(each, Task) for each in made) == 1


async def test_live_tasks_of_a_user_who_has_used_the_budget_are_found(
    journal: Journal, clock: ManualClock
) -> None:
    async def overspent(window: Window) -> list[Overspent]:
        return list(await journal.usage.overspent(BUDGET, window))

    today = Period.DAY.around(NOW)
    for number, user in enumerate(("ann", "ann", "bob", "")):
        made = await add(journal, number, user_id=user, create_time=NOW)
        accept = partial(accepted, avatar_id="a", digital_human_id="mia", at=NOW)
        await journal.tasks.change(made.task_id, accept)
    clock.advance(48.5)
    assert await overspent(today) == []
    clock.advance(1)
    found = await overspent(today)
    assert [each.task.user_id for each in found] == ["ann", "ann"]
    assert {each.spent_seconds for each in found} == {100}, "each rounded up"
    assert await overspent(Period.DAY.around(NOW + DAY)) == []


async def test_usage_outlives_tasks_that_are_removed(journal: Journal) -> None:
    await fill(journal)
    before = brief(await all_rows(journal, Grouping.USER))
    await remove_all(journal)
    assert brief(await all_rows(journal, Grouping.USER)) == before
    [kept] = await all_rows(journal, Grouping.TASK)
    assert kept.task_id.endswith("2"), "only the live one is left"
    with pytest.raises(ServiceError) as refused:
        await journal.tasks.add(task(9, user_id="bob"), None, LIMITED)
    assert refused.value.reason is Reason.BUDGET_EXCEEDED


ONCE = ProviderTotals(
    currency="USD", input_tokens=100, cached_tokens=60, output_tokens=20, cost_micros=1_500
)
FREE = ProviderTotals(currency="", characters=30, recognized_ms=1_250, estimated_tokens=7)


async def close(journal: Journal, made: Task, sequence: int, *used: ProviderTotals) -> None:
    change = TurnClosed(reply_text="Hi.", heard_text="Hi.", providers=used)
    for _ in range(2):  # A batch that is sent again counts once.
        await journal.conversations.append(
            made.task_id, [event(sequence, sequence, change)], closing_grace=GRACE
        )


async def test_what_providers_were_used_for_is_added_up_and_outlives_its_tasks(
    journal: Journal,
) -> None:
    first = await add(journal, 1, user_id="ann")
    second = await add(journal, 2, user_id="ann")
    third = await add(journal, 3, user_id="bob")
    await close(journal, first, 1, ONCE, FREE)
    await close(journal, first, 2, ONCE)
    await close(journal, second, 1, ONCE)
    by_task = await all_rows(journal, Grouping.TASK)
    twice = replace(ONCE, input_tokens=200, cached_tokens=120, output_tokens=40, cost_micros=3_000)
    assert [row.providers for row in by_task] == [(FREE, twice), (ONCE,), ()]
    thrice = replace(ONCE, input_tokens=300, cached_tokens=180, output_tokens=60, cost_micros=4_500)
    before = await all_rows(journal, Grouping.USER)
    assert [row.providers for row in before] == [(FREE, thrice), ()]
    for made in (first, third):
        await end(journal, made.task_id, at=made.create_time + timedelta(seconds=1))
    await remove_all(journal)
    assert [row.providers for row in await all_rows(journal, Grouping.USER)] == [
        (FREE, thrice),
        (),
    ]
    await end(journal, second.task_id, at=second.create_time + timedelta(seconds=1))
    await remove_all(journal)
    assert [row.providers for row in await all_rows(journal, Grouping.USER)] == [
        (FREE, thrice),
        (),
    ]


async def remove_all(journal: Journal) -> None:
    later = NOW + 2 * DAY
    while await journal.erasure.erase_ended(before=later):
        pass
    while await journal.erasure.remove_ended(before=later):
        pass
