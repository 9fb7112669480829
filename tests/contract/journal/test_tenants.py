"""What belongs to another tenant, or in a tenant to another user, does not exist for a caller."""

import asyncio
import inspect
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import get_type_hints

import pytest

from services.runtime.callers.caller import Caller, acting_for, of_tenant
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.conversation import TurnClosed, TurnStarted
from services.task.domain.provider_totals import ProviderTotals
from services.task.domain.tasks import Task, TaskState, accepted
from services.task.domain.usage import Budget, Grouping, Period, UsageFilter
from services.task.journal.migrations import Migration
from services.task.journal.provider_usage import DAY_MICROS
from services.task.journal.rows import to_micros
from services.task.ports.journal import Journal
from services.task.ports.replicas import Replica
from services.task.ports.search import TaskFilter
from services.task.ports.tasks import Quota
from services.task.postgres import schema as postgres_schema
from services.task.postgres.database import connected
from services.task.postgres.storage import postgres_storage
from services.task.sqlite import schema as sqlite_schema
from services.task.sqlite.storage import sqlite_storage
from tests.support.journal import (
    GRACE,
    NOW,
    UNLIMITED,
    OpenStorage,
    add,
    client,
    end,
    event,
    put_on_air,
    request,
    task,
)
from tests.support.task import ManualClock

ACME = of_tenant("acme")
ZOO = of_tenant("zoo")
ANN = Caller(tenant_id="acme", user_id="ann")
BOB = Caller(tenant_id="acme", user_id="bob")
STRANGERS = {"another tenant": ZOO, "the default tenant": Caller(), "another user": BOB}
FRIENDS = {"the tenant": ACME, "the user": ANN}
MONTH = Period.MONTH.around(NOW)
BUDGET = Budget(user_seconds=100, period=Period.DAY)
STARTED = TurnStarted(origin=1, user_text="Hello.", language_code="en")
LATER = NOW + timedelta(days=1)

Call = Callable[[Journal, str], Awaitable[object]]
BY_TASK: dict[str, Call] = {
    "tasks.get": lambda journal, task_id: journal.tasks.get(task_id),
    "tasks.get_with_facts": lambda journal, task_id: journal.tasks.get_with_facts(task_id),
    "tasks.change": lambda journal, task_id: journal.tasks.change(task_id, lambda known: known),
    "tasks.change_facts": lambda journal, task_id: journal.tasks.change_facts(
        task_id, lambda known: known
    ),
    "logs.snapshot": lambda journal, task_id: journal.logs.snapshot(task_id),
    "logs.events_after": lambda journal, task_id: journal.logs.events_after(task_id, 0, limit=9),
    "conversations.append": lambda journal, task_id: journal.conversations.append(
        task_id, [event(3)], closing_grace=GRACE
    ),
    "conversations.read": lambda journal, task_id: journal.conversations.read(
        task_id, after_turn_id=0, after_sequence=0
    ),
    "conversations.turn": lambda journal, task_id: journal.conversations.turn(task_id, 1),
    "leases.take": lambda journal, task_id: journal.leases.take(task_id, "replica"),
    "conversations.claim": lambda journal, task_id: journal.conversations.claim(task_id, "replica"),
    "conversations.release": lambda journal, task_id: journal.conversations.release(task_id, 1),
    "erasure.erase": lambda journal, task_id: journal.erasure.erase(task_id),
}
OTHERWISE_LIMITED = {
    "tasks.add",
    "tasks.find_created",
    "search.page",
    "usage.report",
    "clients.note_seen",
    "erasure.forget_user",
}
"""Tested one by one below."""
OF_ALL_TENANTS = {
    "search.live",
    "search.of_stream",
    "search.of_avatar",
    "tasks.is_repeatable",
    "conversations.last_turn_time",
    "conversations.abandoned_turns",
    "leases.mark_due",
    "leases.take_due",
    "clients.absent",
    "erasure.erase_ended",
    "erasure.remove_ended",
    "usage.overspent",
    "usage.spending",
    "tasks.forget_requests",
}
ABOUT_NO_TASK = {"replicas.keep", "replicas.forget", "replicas.lead"}
BY_THEIR_HOLDERS = {"leases.release", "logs.wake"}
"""Who calls them has been given the task's lease, or has read the task."""


def test_of_every_method_it_is_known_what_it_shows_to_whom() -> None:
    methods = {
        f"{part}.{name}"
        for part, port in get_type_hints(Journal).items()
        for name, _ in inspect.getmembers(port, inspect.isfunction)
        if not name.startswith("_")
    }
    known = OTHERWISE_LIMITED | OF_ALL_TENANTS | ABOUT_NO_TASK | BY_THEIR_HOLDERS | set(BY_TASK)
    assert methods == known


async def ann_talked(journal: Journal, *, is_over: bool) -> Task:
    """Add a task of a user of a tenant, in which something was said."""
    said = [event(1, 1), event(2, 1, TurnClosed(reply_text="Hi.", heard_text="Hi."))]
    with acting_for(ACME):
        made = await add(journal, 1, tenant_id="acme", user_id="ann")
        await put_on_air(journal, made.task_id)
        await journal.conversations.append(made.task_id, said, closing_grace=GRACE)
        return (
            await end(journal, made.task_id) if is_over else await journal.tasks.get(made.task_id)
        )


async def reason_of(call: Awaitable[object]) -> Reason | None:
    """Return why a call fails, None if it does not."""
    try:
        await call
    except ServiceError as error:
        return error.reason
    return None


@pytest.mark.parametrize("name", BY_TASK)
async def test_a_task_exists_for_its_tenant_and_its_user(journal: Journal, name: str) -> None:
    made = await ann_talked(journal, is_over=name == "erasure.erase")
    for who, caller in STRANGERS.items():
        with acting_for(caller):
            reason = await reason_of(BY_TASK[name](journal, made.task_id))
            assert reason is Reason.TASK_NOT_FOUND, who
    for who, caller in FRIENDS.items():
        with acting_for(caller):
            assert await reason_of(BY_TASK[name](journal, made.task_id)) is None, who


async def test_a_refusal_tells_as_much_of_a_foreign_task_as_of_none(journal: Journal) -> None:
    made = await ann_talked(journal, is_over=False)

    async def refusal(task_id: str) -> tuple[str, dict[str, str]]:
        with acting_for(ZOO), pytest.raises(ServiceError) as refused:
            await journal.tasks.get(task_id)
        return refused.value.message, {**refused.value.metadata, "task_id": ""}

    assert await refusal(made.task_id) == await refusal("task_unknown")


async def test_appends_that_go_in_together_are_each_for_their_own_caller(journal: Journal) -> None:
    made = await ann_talked(journal, is_over=False)

    async def append(caller: Caller) -> Reason | None:
        with acting_for(caller):
            return await reason_of(
                journal.conversations.append(made.task_id, [event(3)], closing_grace=GRACE)
            )

    reasons = await asyncio.gather(*map(append, (ACME, ZOO, ANN, BOB)))
    assert reasons == [None, Reason.TASK_NOT_FOUND, None, Reason.TASK_NOT_FOUND]


@pytest.mark.parametrize(
    "wanted",
    [
        TaskFilter(),
        TaskFilter(states=(TaskState.STREAMING,)),
        TaskFilter(user_id="ann"),
        TaskFilter(avatar_id=f"avatar of {task(1).task_id}"),
    ],
    ids=["all", "by state", "by user", "by avatar"],
)
async def test_a_list_has_what_the_caller_sees(journal: Journal, wanted: TaskFilter) -> None:
    made = await ann_talked(journal, is_over=False)
    for caller in STRANGERS.values():
        with acting_for(caller):
            assert await journal.search.page(wanted, before="", size=9) == []
    for caller in FRIENDS.values():
        with acting_for(caller):
            assert await journal.search.page(wanted, before="", size=9) == [made]


async def test_a_user_cannot_list_another(journal: Journal) -> None:
    await ann_talked(journal, is_over=False)
    with acting_for(BOB):
        assert await journal.search.page(TaskFilter(user_id="ann"), before="", size=9) == []


async def test_a_request_id_belongs_to_a_tenant(journal: Journal) -> None:
    for number, tenant_id in enumerate(("default", "acme", "zoo")):
        first, again = (task(each, tenant_id=tenant_id) for each in (2 * number, 2 * number + 1))
        wanted = replace(request("r"), tenant_id=tenant_id)
        another = replace(request("r", "another content"), tenant_id=tenant_id)
        with acting_for(of_tenant(tenant_id)):
            assert await journal.tasks.add(first, wanted, UNLIMITED) == first
            assert await journal.tasks.add(again, wanted, UNLIMITED) == first
            assert await journal.tasks.find_created(wanted) == first
            assert await reason_of(journal.tasks.find_created(another)) is Reason.REQUEST_ID_REUSED


async def test_the_live_tasks_of_a_user_are_those_in_its_tenant(journal: Journal) -> None:
    one_each = Quota(running=9, running_per_user=1)
    for number, tenant_id in enumerate(("default", "acme", "zoo")):
        with acting_for(of_tenant(tenant_id)):
            own = task(number, tenant_id=tenant_id, user_id="ann")
            await journal.tasks.add(own, None, one_each)
            more = replace(own, task_id=task(9).task_id, stream_id="another")
            reason = await reason_of(journal.tasks.add(more, None, one_each))
            assert reason is Reason.QUOTA_EXCEEDED


async def used(journal: Journal, number: int, tenant_id: str, *, seconds: int) -> Task:
    """Add a task of Ann's that has cost so much, and a token."""
    totals = ProviderTotals(currency="USD", input_tokens=number, cost_micros=number)
    said = TurnClosed(reply_text="Hi.", heard_text="Hi.", providers=(totals,))
    with acting_for(of_tenant(tenant_id)):
        made = await add(journal, number, tenant_id=tenant_id, user_id="ann", create_time=NOW)
        accept = partial(accepted, avatar_id="a", digital_human_id="mia", at=NOW)
        await journal.tasks.change(made.task_id, accept)
        await journal.conversations.append(made.task_id, [event(1, 1, said)], closing_grace=GRACE)
        return await end(journal, made.task_id, at=NOW + timedelta(seconds=seconds))


async def report(journal: Journal, caller: Caller, user_id: str = "") -> list[tuple[int, int, int]]:
    """Return the number, seconds and tokens of the tasks in each row."""
    wanted = UsageFilter(window=MONTH, grouping=Grouping.USER, user_id=user_id)
    with acting_for(caller):
        rows = await journal.usage.report(wanted, after=None, size=9)
    return [
        (each.tasks, each.billable_seconds, sum(used.input_tokens for used in each.providers))
        for each in rows
    ]


async def test_costs_by_task_are_those_of_the_tenant(journal: Journal) -> None:
    made = await ann_talked(journal, is_over=True)
    wanted = UsageFilter(window=MONTH, grouping=Grouping.TASK)
    for caller in STRANGERS.values():
        with acting_for(caller):
            assert await journal.usage.report(wanted, after=None, size=9) == []
    for caller in FRIENDS.values():
        with acting_for(caller):
            [row] = await journal.usage.report(wanted, after=None, size=9)
            assert row.task_id == made.task_id


async def test_costs_are_those_of_the_tenant_also_of_removed_tasks(journal: Journal) -> None:
    for number, tenant_id in enumerate(("default", "acme", "zoo"), start=1):
        await used(journal, number, tenant_id, seconds=10 * number)
    for _ in ("kept", "removed"):
        assert await report(journal, Caller()) == [(1, 10, 1)]
        assert await report(journal, ACME) == await report(journal, ANN) == [(1, 20, 2)]
        assert await report(journal, ZOO, "ann") == [(1, 30, 3)]
        assert await report(journal, ZOO, "bob") == await report(journal, BOB) == []
        assert await report(journal, BOB, "ann") == []
        while await journal.erasure.erase_ended(before=LATER):
            pass
        while await journal.erasure.remove_ended(before=LATER):
            pass
    with acting_for(ACME):
        assert await journal.search.page(TaskFilter(), before="", size=9) == []
    await used(journal, 4, "acme", seconds=1)
    assert await report(journal, ACME) == [(2, 21, 6)]


async def test_a_budget_is_that_of_a_user_of_a_tenant(journal: Journal) -> None:
    limited = replace(UNLIMITED, budget=BUDGET)
    spent = await used(journal, 1, "acme", seconds=60)
    for is_kept in (True, False):
        for number, tenant_id, left_s in ((2, "acme", 40), (3, "zoo", 100), (4, "default", 100)):
            own = task(number, tenant_id=tenant_id, user_id="ann", create_time=NOW)
            added = replace(own, task_id=f"{own.task_id}{is_kept}", stream_id=f"{number}{is_kept}")
            with acting_for(of_tenant(tenant_id)):
                made = await journal.tasks.add(added, None, limited)
                assert made.budget == timedelta(seconds=left_s)
        await journal.erasure.erase_ended(before=LATER)
        await journal.erasure.remove_ended(before=LATER)
    with acting_for(ACME):
        assert await reason_of(journal.tasks.get(spent.task_id)) is Reason.TASK_NOT_FOUND


async def test_those_who_sweep_find_all_and_learn_whose_it_is(journal: Journal) -> None:
    made = await ann_talked(journal, is_over=False)
    assert await journal.search.live() == [made]
    assert await journal.search.of_avatar(made.avatar_id) == made
    assert await journal.search.of_stream("room", made.stream_id, since=NOW) == [made]
    await journal.replicas.keep(Replica(replica_id="one", address="one:1"))
    await journal.leases.mark_due([made.task_id])
    [lease] = await journal.leases.take_due("one", limit=1, busy=())
    assert (lease.task_id, lease.tenant_id) == (made.task_id, "acme")
    nothing_left = Budget(user_seconds=0, period=Period.DAY)
    [over] = await journal.usage.overspent(nothing_left, Period.DAY.around(NOW))
    assert over.task == made
    with acting_for(ACME):
        await journal.conversations.append(
            made.task_id, [event(3, 2, STARTED)], closing_grace=GRACE
        )
        await end(journal, made.task_id)
    [turn] = await journal.conversations.abandoned_turns(ended_before=LATER, limit=9)
    assert (turn.task_id, turn.tenant_id) == (made.task_id, "acme")


async def test_a_client_is_noted_only_for_a_task_that_it_sees(
    journal: Journal, clock: ManualClock
) -> None:
    with acting_for(ACME):
        minute = timedelta(minutes=1)
        made = await add(
            journal, 1, tenant_id="acme", user_id="ann", max_absence=minute, seen_time=NOW
        )
        await put_on_air(journal, made.task_id)
    clock.advance(59)
    for who, caller in {**STRANGERS, "the user": ANN}.items():
        with acting_for(caller):
            await journal.clients.note_seen({client(made.task_id): clock()})
        with acting_for(ACME):
            is_noted = (await journal.tasks.get(made.task_id)).seen_time != NOW
        assert is_noted == (caller is ANN), who


OLD_ROWS = (
    "INSERT INTO tasks (task_id, state, room_id, stream_id, digital_human_id, persona_id,"
    " language_code, user_id, background_color, avatar_id, max_duration, max_idle_duration,"
    " create_time, accept_time, stop_time) VALUES ('task_old', 'STOPPED', 'room', 'stream', '', '',"
    f" '', 'ann', '', 'a', 1, 1, {to_micros(NOW)}, {to_micros(NOW)}, {to_micros(NOW) + 5_000_000})",
    "INSERT INTO usage_days (user_id, day, tasks, turns, billable_seconds)"
    f" VALUES ('ann', {to_micros(NOW) // DAY_MICROS}, 2, 0, 7)",
    "INSERT INTO provider_usage (task_id, user_id, day, currency, input_tokens, cached_tokens,"
    " output_tokens, estimated_tokens, characters, recognized_ms, cost_micros)"
    f" VALUES ('', 'ann', {to_micros(NOW) // DAY_MICROS}, 'USD', 3, 0, 0, 0, 0, 0, 0)",
)


def before_tenants(migrations: Sequence[Migration]) -> Sequence[Migration]:
    """Return the steps up to the one that knows tenants."""
    return migrations[: next(at for at, step in enumerate(migrations) if "tenant" in step.script)]


@pytest.fixture(params=["sqlite", "postgres"])
async def old_storage(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> OpenStorage:
    """A database of a release without tenants, and what opens it."""
    if request.param == "sqlite":
        path = tmp_path / "tasks.sqlite3"
        with closing(sqlite3.connect(path, isolation_level=None)) as file:
            sqlite_schema.migrate(file, before_tenants(sqlite_schema.MIGRATIONS))
            for each in OLD_ROWS:
                file.execute(each)
        return partial(sqlite_storage, path, clock)
    url = request.getfixturevalue("postgres_url")
    async with connected(url) as connection:
        await postgres_schema.migrate(connection, before_tenants(postgres_schema.MIGRATIONS))
        for each in OLD_ROWS:
            await connection.execute(each)
    return partial(postgres_storage, url, clock)


async def test_what_there_was_belongs_to_the_default_tenant(old_storage: OpenStorage) -> None:
    async with old_storage() as storage:
        journal = storage.journal
        assert (await journal.tasks.get("task_old")).tenant_id == "default"
        assert await report(journal, Caller()) == [(3, 12, 3)]
        with acting_for(ACME):
            assert await reason_of(journal.tasks.get("task_old")) is Reason.TASK_NOT_FOUND
        assert await report(journal, ACME) == []
