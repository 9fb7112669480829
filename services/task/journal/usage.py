"""What tasks cost, within one transaction: by task, by user and day, and against budgets.

A user is one of a tenant: others may have users of the same name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeAlias

from services.runtime.callers.caller import DEFAULT_TENANT
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.tasks import Clock, Task
from services.task.domain.usage import (
    SHORTEST,
    Budget,
    Overspent,
    Position,
    UsageFilter,
    UsageRow,
    Window,
)
from services.task.journal import outbox, provider_usage
from services.task.journal.database import Database, Transaction
from services.task.journal.provider_usage import DAY_MICROS, NOBODY
from services.task.journal.rows import SqlValue, from_micros, places, task_from_row, to_micros
from services.task.journal.tables import IS_LIVE, seen
from services.task.webhooks.webhook import NEARLY, QuotaUse

_User: TypeAlias = tuple[str, str]
"""Tenant and user."""
_DAY = f"create_time / {DAY_MICROS}"
_COSTS = "tasks, turns, billable_seconds"
_TURNS = "erased_turns + (SELECT count(*) FROM turns WHERE turns.task_id = tasks.task_id)"

_REMOVED_DAYS = (("usage_days", "=", "user_id"), ("tenant_usage_days", "<>", "tenant_id, user_id"))
"""What removed tasks cost, by the days of users: of the default tenant, and of all others."""


def _seconds(end: str) -> str:
    """Return the billable seconds of a task up to an end, as Task.billable_seconds counts them."""
    return f"CASE WHEN {end} > accept_time THEN ({end} - accept_time + 999999) / 1000000 ELSE 0 END"


def removed_costs(condition: str) -> str:
    """Return a table of what removed tasks cost, as far as a condition wants it."""
    wanted = (
        f"SELECT tenant_id, user_id, day, {_COSTS} FROM {table} WHERE {condition}"
        for table in ("usage_days", "tenant_usage_days")
    )
    return f"({' UNION ALL '.join(wanted)}) AS removed"


# $1 is the present: a task that runs costs more by the second.
SECONDS = _seconds("coalesce(stop_time, $1)")


async def within_budget(
    transaction: Transaction, task: Task, budget: Budget | None, *, now: datetime
) -> Task:
    """Return a new task with what is left of its user's budget; notify webhooks if that is little.

    Raises ServiceError with BUDGET_EXCEEDED if that is too little for any task.
    """
    if budget is None or not task.user_id:
        return task
    window = budget.period.around(task.create_time)
    spent = await _spent(transaction, window, now=now, of=task)
    left = timedelta(seconds=budget.user_seconds - spent.get(_user(task), 0))
    if left < SHORTEST:
        raise ServiceError(
            Reason.BUDGET_EXCEEDED,
            f"user_id: this user has used the {budget.user_seconds} s of the {budget.period.value}",
            retry_after_s=(window.end - now).total_seconds(),
        )
    used = budget.user_seconds - int(left.total_seconds())
    if used >= NEARLY * budget.user_seconds:
        near = QuotaUse(
            kind="user_seconds",
            unit="s",
            used=used,
            limit=budget.user_seconds,
            user_id=task.user_id,
            renew_time=window.end,
        )
        await outbox.enqueue_quota(transaction, task.tenant_id, near, now=now)
    return replace(task, budget=left)


async def overspent(
    transaction: Transaction, budget: Budget, window: Window, *, now: datetime
) -> Sequence[Overspent]:
    """Return the live tasks of a period whose users have used up their budgets."""
    spent = await _spent(transaction, window, now=now)
    over = {user for user, seconds in spent.items() if seconds >= budget.user_seconds}
    if not over:
        return ()
    live = await transaction.fetch(f"SELECT * FROM tasks WHERE {IS_LIVE}")
    return [
        Overspent(task=task, spent_seconds=spent[_user(task)])
        for task in map(task_from_row, live)
        if _user(task) in over and window.start <= task.create_time < window.end
    ]


async def _spent(
    transaction: Transaction, window: Window, *, now: datetime, of: Task | None = None
) -> Mapping[_User, int]:
    """Return what a task's user has used in a period, or everybody who has a live task: in seconds.

    By tenant and user.
    """
    own: tuple[SqlValue, ...] = _user(of) if of else ()
    kept = await transaction.fetch(
        f"SELECT tenant_id, user_id, sum({SECONDS}) AS seconds FROM tasks"
        f" WHERE create_time >= $2 AND create_time < $3 AND {_whose(of, 4)}"
        " GROUP BY tenant_id, user_id",
        to_micros(now),
        to_micros(window.start),
        to_micros(window.end),
        *own,
    )
    removed = await transaction.fetch(
        "SELECT tenant_id, user_id, sum(billable_seconds) AS seconds"
        f" FROM {removed_costs(f'day >= $1 AND day < $2 AND {_whose(of, 3)}')}"
        " GROUP BY tenant_id, user_id",
        day_of(window.start),
        day_of(window.end),
        *own,
    )
    spent: dict[_User, int] = {}
    for row in (*kept, *removed):
        user = row["tenant_id"], row["user_id"]
        spent[user] = spent.get(user, 0) + int(row["seconds"])
    return spent


def _user(task: Task) -> _User:
    return task.tenant_id, task.user_id


def _whose(of: Task | None, place: int) -> str:
    if of:
        return f"tenant_id = ${place} AND user_id = ${place + 1}"
    users = f"SELECT tenant_id, user_id FROM tasks WHERE {IS_LIVE} AND user_id <> ''"
    return f"(tenant_id, user_id) IN ({users})"


async def by_task(
    transaction: Transaction,
    wanted: UsageFilter,
    *,
    after: Position | None,
    size: int,
    now: datetime,
) -> Sequence[UsageRow]:
    """Return up to `size` rows of tasks that follow a position."""
    start, key = (
        (to_micros(after.time), after.key) if after else (to_micros(wanted.window.start), "")
    )
    parameters: list[SqlValue] = [to_micros(now), start, to_micros(wanted.window.end), key, size]
    rows = await transaction.fetch(
        f"SELECT task_id, user_id, create_time, {_TURNS} AS turns, {SECONDS} AS seconds"
        " FROM tasks WHERE (create_time, task_id) > ($2, $4) AND create_time < $3"
        f" AND {seen(parameters, user_id=wanted.user_id)} ORDER BY create_time, task_id LIMIT $5",
        *parameters,
    )
    used = await provider_usage.of_tasks(transaction, [row["task_id"] for row in rows])
    return [
        UsageRow(
            position=Position(time=from_micros(row["create_time"]), key=row["task_id"]),
            user_id=row["user_id"],
            task_id=row["task_id"],
            tasks=1,
            turns=row["turns"],
            billable_seconds=row["seconds"],
            providers=used.get(row["task_id"], ()),
        )
        for row in rows
    ]


async def by_day(
    database: Database, wanted: UsageFilter, *, after: Position | None, size: int, clock: Clock
) -> Sequence[UsageRow]:
    """Return up to `size` rows of users by days that follow a position.

    Each day is a transaction, as all days together may be too much to wait for.
    """
    rows: list[UsageRow] = []
    while len(rows) < size:
        more = await database.read(
            partial(
                of_next_day,
                wanted=wanted,
                after=rows[-1].position if rows else after,
                size=size - len(rows),
                now=clock(),
            )
        )
        if not more:
            break
        rows += more
    return rows


async def of_next_day(
    transaction: Transaction,
    wanted: UsageFilter,
    *,
    after: Position | None,
    size: int,
    now: datetime,
) -> Sequence[UsageRow]:
    """Return up to `size` rows of users after a position, all of one day; none at the end."""
    if after is not None:
        rows = await _of_day(
            transaction, wanted, day_of(after.time), after=after.key, size=size, now=now
        )
        if rows:
            return rows
    start = day_of(wanted.window.start) if after is None else day_of(after.time) + 1
    day = await _first_day(transaction, wanted, start)
    if day is None:
        return ()
    return await _of_day(transaction, wanted, day, after=None, size=size, now=now)


async def _first_day(transaction: Transaction, wanted: UsageFilter, start: int) -> int | None:
    """Return the first day with usage from a day on; None if there is none."""
    end = day_of(wanted.window.end)
    times: list[SqlValue] = [start * DAY_MICROS, end * DAY_MICROS]
    days: list[SqlValue] = [start, end]
    kept = await transaction.fetch_one(
        "SELECT min(create_time) AS first FROM tasks WHERE create_time >= $1 AND create_time < $2"
        f" AND {seen(times, user_id=wanted.user_id)}",
        *times,
    )
    removed = await transaction.fetch_one(
        "SELECT min(day) AS first FROM"
        f" {removed_costs(f'day >= $1 AND day < $2 AND {seen(days, user_id=wanted.user_id)}')}",
        *days,
    )
    found = [
        row["first"] // unit
        for row, unit in ((kept, DAY_MICROS), (removed, 1))
        if row is not None and row["first"] is not None
    ]
    return min(found, default=None)


async def _of_day(
    transaction: Transaction,
    wanted: UsageFilter,
    day: int,
    *,
    after: str | None,
    size: int,
    now: datetime,
) -> Sequence[UsageRow]:
    """Return up to `size` rows of a day's users, of those that follow a user if one is given."""
    start = day * DAY_MICROS
    parameters: list[SqlValue] = [to_micros(now), start, start + DAY_MICROS, day, size]
    whose = f" AND {seen(parameters, user_id=wanted.user_id)}"
    if after is not None:
        parameters.append(after)
        whose += f" AND user_id > ${len(parameters)}"
    rows = await transaction.fetch(
        "SELECT user_id, sum(tasks) AS tasks, sum(turns) AS turns, sum(seconds) AS seconds FROM"
        f" (SELECT user_id, 1 AS tasks, {_TURNS} AS turns, {SECONDS} AS seconds FROM tasks"
        f" WHERE create_time >= $2 AND create_time < $3{whose} UNION ALL"
        f" SELECT user_id, {_COSTS} FROM {removed_costs(f'day = $4{whose}')}) AS parts"
        " GROUP BY user_id ORDER BY user_id LIMIT $5",
        *parameters,
    )
    used = await provider_usage.of_users(transaction, day, [row["user_id"] for row in rows])
    time = from_micros(start)
    return [
        UsageRow(
            position=Position(time=time, key=row["user_id"]),
            user_id=row["user_id"],
            tasks=int(row["tasks"]),
            turns=int(row["turns"]),
            billable_seconds=int(row["seconds"]),
            providers=used.get(row["user_id"], ()),
        )
        for row in rows
    ]


async def keep(transaction: Transaction, task_ids: Sequence[str]) -> None:
    """Add what ended tasks cost to their users' days, before they are removed."""
    for table, of, whose in _REMOVED_DAYS:
        await transaction.execute(
            f"INSERT INTO {table} ({whose}, day, {_COSTS})"
            f" SELECT {whose}, {_DAY}, count(*), CAST(sum({_TURNS}) AS BIGINT),"
            f" CAST(sum({_seconds('stop_time')}) AS BIGINT)"
            f" FROM tasks WHERE task_id IN ({places(task_ids)})"
            f" AND tenant_id {of} '{DEFAULT_TENANT}' GROUP BY {whose}, {_DAY}"
            f" {_to_those_of(table, whose)}",
            *task_ids,
        )
    await provider_usage.keep(transaction, task_ids)


async def forget_user(transaction: Transaction, user_id: str) -> None:
    """Move what a user's removed tasks cost to nobody's days."""
    for table, _, whose in _REMOVED_DAYS:
        parameters: list[SqlValue] = []
        chosen = f"FROM {table} WHERE {seen(parameters, user_id=user_id)}"
        await transaction.execute(
            f"INSERT INTO {table} ({whose}, day, {_COSTS})"
            f" SELECT {whose.replace('user_id', NOBODY)}, day, {_COSTS} {chosen}"
            f" {_to_those_of(table, whose)}",
            *parameters,
        )
        await transaction.execute(f"DELETE {chosen}", *parameters)
    await provider_usage.forget_user(transaction, user_id)


def _to_those_of(table: str, whose: str) -> str:
    sums = (f"{each} = {table}.{each} + excluded.{each}" for each in _COSTS.split(", "))
    return f"ON CONFLICT ({whose}, day) DO UPDATE SET {', '.join(sums)}"


def day_of(time: datetime) -> int:
    return to_micros(time) // DAY_MICROS
