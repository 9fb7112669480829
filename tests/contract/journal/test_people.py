"""All that is kept of a user can be removed; what was used stays, as nobody's."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from services.runtime.callers.caller import DEFAULT_TENANT, Caller, acting_for, of_tenant
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.conversation import TurnClosed, TurnStarted
from services.task.domain.credentials import ApiKey, Role, Ticket
from services.task.domain.provider_totals import ProviderTotals
from services.task.domain.tasks import Task
from services.task.domain.usage import Grouping, UsageFilter, UsageRow, Window
from services.task.journal import erasure
from services.task.ports.journal import Journal
from services.task.ports.search import TaskFilter
from services.task.ports.storage import Storage
from services.task.sqlite.schema import migrate
from tests.support.journal import (
    GRACE,
    NOW,
    UNLIMITED,
    OpenStorage,
    add,
    end,
    event,
    put_on_air,
    request,
    task,
)

SECRET = "the combination is 1-2-3"
USED = ProviderTotals(currency="EUR", cost_micros=7, input_tokens=90)
OLD = NOW - timedelta(days=9)
ALL = Window(start=NOW - timedelta(days=30), end=NOW + timedelta(days=30))


async def talked(
    journal: Journal,
    number: int,
    user_id: str,
    *,
    turns: int = 1,
    is_over: bool = True,
    tenant_id: str = DEFAULT_TENANT,
) -> Task:
    """Add a task of a user in which something is said."""
    made = await journal.tasks.add(
        task(
            number,
            user_id=user_id,
            tenant_id=tenant_id,
            create_time=NOW if number % 2 else OLD,
        ),
        replace(request(f"create {number}"), tenant_id=tenant_id),
        UNLIMITED,
        call_facts=SECRET.encode(),
    )
    await put_on_air(journal, made.task_id)
    for turn in range(1, turns + 1):
        started = TurnStarted(origin=1, user_text=SECRET, language_code="en")
        closed = TurnClosed(reply_text="I see.", heard_text="I see.", providers=(USED,))
        said = [
            event(2 * turn - 1, turn, started, payload=SECRET.encode()),
            event(2 * turn, turn, closed),
        ]
        await journal.conversations.append(made.task_id, said, closing_grace=GRACE)
    return await end(journal, made.task_id, at=NOW + timedelta(seconds=60)) if is_over else made


async def forget(journal: Journal, user_id: str) -> int:
    """Remove all that is kept of a user; return the number of tasks."""
    tasks = 0
    while True:
        removal = await journal.erasure.forget_user(user_id)
        tasks += removal.tasks
        if not removal.has_more:
            return tasks


async def usage(journal: Journal) -> Sequence[UsageRow]:
    wanted = UsageFilter(window=ALL, grouping=Grouping.USER)
    return await journal.usage.report(wanted, after=None, size=100)


def as_nobody(rows: Sequence[UsageRow]) -> dict[object, tuple[int, int, int, ProviderTotals]]:
    """What all used, by the day."""
    days: dict[object, tuple[int, int, int, ProviderTotals]] = {}
    for row in rows:
        tasks, turns, seconds, used = days.get(
            row.position.time, (0, 0, 0, ProviderTotals(currency="EUR"))
        )
        [more] = row.providers
        used = replace(
            used,
            cost_micros=used.cost_micros + more.cost_micros,
            input_tokens=used.input_tokens + more.input_tokens,
        )
        days[row.position.time] = (
            tasks + row.tasks,
            turns + row.turns,
            seconds + row.billable_seconds,
            used,
        )
    return days


async def test_nothing_of_a_user_is_left_and_all_of_the_others(journal: Journal) -> None:
    anns = [await talked(journal, number, "ann") for number in range(4)]
    bobs = await talked(journal, 4, "bob")
    # Of these, only what they used was left.
    for first in anns[:2]:
        await journal.erasure.erase(first.task_id)
    await journal.erasure.remove_ended(before=NOW + timedelta(days=1))
    before = await usage(journal)
    assert {row.user_id for row in before} == {"ann", "bob"}

    assert await forget(journal, "ann") == 2
    assert await forget(journal, "ann") == 0

    for each in anns:
        with pytest.raises(ServiceError) as missing:
            await journal.tasks.get(each.task_id)
        assert missing.value.reason is Reason.TASK_NOT_FOUND
        assert not await journal.tasks.is_repeatable(each.task_id)
    assert (await journal.tasks.get_with_facts(bobs.task_id)) == (bobs, SECRET.encode())
    assert (await journal.conversations.turn(bobs.task_id, 1)).turn.user_text == SECRET
    after = await usage(journal)
    assert {row.user_id for row in after} == {"", "bob"}
    assert as_nobody(after) == as_nobody(before)
    assert [row for row in after if row.user_id] == [row for row in before if row.user_id == "bob"]


async def test_what_two_users_used_becomes_one_sum(journal: Journal) -> None:
    for number, user_id in enumerate(("ann", "bob")):
        await talked(journal, 2 * number, user_id)
    before = as_nobody(await usage(journal))
    for user_id in ("ann", "bob"):
        await forget(journal, user_id)
    [row] = await usage(journal)
    assert (row.user_id, row.tasks, row.turns) == ("", 2, 2)
    assert as_nobody([row]) == before


async def test_a_user_who_is_on_air_is_not_removed(journal: Journal) -> None:
    over = await talked(journal, 1, "ann")
    live = await talked(journal, 2, "ann", is_over=False)
    with pytest.raises(ServiceError) as refused:
        await journal.erasure.forget_user("ann")
    assert refused.value.reason is Reason.TASK_NOT_ENDED
    assert refused.value.metadata["task_id"] == live.task_id
    assert (await journal.conversations.turn(over.task_id, 1)).turn.user_text == SECRET


async def test_a_long_life_goes_in_steps(journal: Journal) -> None:
    await talked(journal, 1, "ann", turns=erasure.ROWS // 2)
    steps = 1
    while (await journal.erasure.forget_user("ann")).has_more:
        steps += 1
    # 750 rows of what was said, the task, and what it cost.
    assert steps == 3


async def test_tasks_of_nobody_stay(journal: Journal) -> None:
    nobodys = await add(journal, 1)
    await end(journal, nobodys.task_id)
    await talked(journal, 2, "ann")
    await forget(journal, "ann")
    assert (await journal.tasks.get(nobodys.task_id)).task_id == nobodys.task_id


async def test_keys_and_tickets_of_a_user_are_removed(storage: Storage) -> None:
    later = NOW + timedelta(days=1)
    for user_id in ("ann", "bob", ""):
        key = ApiKey(
            key_id=f"key of {user_id}",
            tenant_id=DEFAULT_TENANT,
            user_id=user_id,
            name=f"phone of {user_id}",
            role=Role.USER,
            create_time=NOW,
            expire_time=None,
        )
        ticket = Ticket(
            ticket_id=f"ticket of {user_id}",
            tenant_id=DEFAULT_TENANT,
            user_id=user_id,
            task_id="",
            is_single_use=False,
            expire_time=later,
        )
        await storage.credentials.add_key(key, f"key {user_id}".encode())
        await storage.credentials.add_ticket(ticket, f"ticket {user_id}".encode())
    await forget(storage.journal, "ann")
    for kind in ("key", "ticket"):
        with pytest.raises(ServiceError):
            await storage.credentials.find(f"{kind} ann".encode())
        for user_id in ("bob", ""):
            assert (await storage.credentials.find(f"{kind} {user_id}".encode())).user_id == user_id


async def test_nobody_cannot_be_removed(journal: Journal) -> None:
    made = await talked(journal, 1, "ann")
    with pytest.raises(ValueError, match="nobody"):
        await journal.erasure.forget_user("")
    assert await journal.tasks.get(made.task_id) == made


async def test_a_user_of_that_name_of_another_tenant_stays(journal: Journal) -> None:
    acme, zoo = of_tenant("acme"), of_tenant("zoo")
    for number, tenant in enumerate((acme, zoo)):
        with acting_for(tenant):
            # One is only counted any more.
            for each in (2 * number, 2 * number + 10):
                made = await talked(journal, each, "ann", tenant_id=tenant.tenant_id)
            await journal.erasure.erase(made.task_id)
    await journal.erasure.remove_ended(before=NOW + timedelta(days=1))
    with acting_for(zoo):
        before = await usage(journal), await journal.search.page(TaskFilter(), before="", size=9)
    with acting_for(Caller(tenant_id="acme", user_id="bob")):
        assert await forget(journal, "ann") == 0
    with acting_for(acme):
        whole = as_nobody(await usage(journal))
        assert await forget(journal, "ann") == 1
        [row] = await usage(journal)
        assert as_nobody([row]) == whole
        assert (row.user_id, row.tasks) == ("", 2)
    with acting_for(zoo):
        after = await usage(journal), await journal.search.page(TaskFilter(), before="", size=9)
    assert after == before
    assert len(after[1]) == 1


async def test_no_file_holds_what_was_removed(open_storage: OpenStorage, tmp_path: Path) -> None:
    async with open_storage() as storage:
        await talked(storage.journal, 1, "ann of the canary")
        await talked(storage.journal, 2, "bob")
        await forget(storage.journal, "ann of the canary")
        # PostgreSQL overwrites nothing: docs/privacy.md.
        assert not any(b"ann of the canary" in content for content in _contents(tmp_path))


def test_of_every_table_that_names_users_it_is_known_how_they_are_forgotten() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection)
        named = connection.execute(
            "SELECT tables.name FROM sqlite_master AS tables, pragma_table_info(tables.name) AS of"
            " WHERE tables.type = 'table' AND of.name = 'user_id'"
        ).fetchall()
    assert {name for [name] in named} == {
        "tasks",
        "provider_usage",
        "usage_days",
        "tenant_usage_days",
        "tickets",
        "api_keys",
        "quota_warnings",
        # Who did what is evidence, and goes by age: docs/privacy.md.
        "audit",
    }


def _contents(folder: Path) -> Sequence[bytes]:
    return [file.read_bytes() for file in folder.glob("tasks.sqlite3*")]
