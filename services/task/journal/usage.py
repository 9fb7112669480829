"""What tasks cost, within one transaction: by task, by user and day, and against budgets."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from services.runtime.errors import ServiceError
from services.runtime.reasons import Reason
from services.task.journal import provider_usage
from services.task.journal.database import Transaction
from services.task.journal.provider_usage import DAY_MICROS
from services.task.journal.rows import SqlValue, from_micros, places, task_from_row, to_micros
from services.task.journal.tables import IS_LIVE
from services.task.tasks import Task
from services.task.usage import (
    SHORTEST,
    Budget,
    Overspent,
    Position,
    UsageFilter,
    UsageRow,
    Window,
)

_DAY = f"create_time / {DAY_MICROS}"
_TURNS = "erased_turns + (SELECT count(*) FROM turns WHERE turns.task_id = tasks.task_id)"


def _seconds(end: str) -> str:
    """Return the billable seconds of a task up to an end, as Task.billable_seconds counts them."""
    return f"CASE WHEN {end} > accept_time THEN ({end} - accept_time + 999999) / 1000000 ELSE 0 END"


# $1 is the present: a task that runs costs more by the second.
_SECONDS = _seconds("coalesce(stop_time, $1)")


async def within_budget(
    transaction: Transaction, task: Task, budget: Budget | None, *, now: datetime
) -> Task:
    """Return a new task with what is left of its user's budget.

    Raises ServiceError with BUDGET_EXCEEDED if that is too little for any task.
    """
    if budget is None or not task.user_id:
        return task
    window = budget.period.around(task.create_time)
    spent = await _spent(transaction, window, now=now, user_id=task.user_id)
    left = timedelta(seconds=budget.user_seconds - spent.get(task.user_id, 0))
    if left < SHORTEST:
        raise ServiceError(
            Reason.BUDGET_EXCEEDED,
            f"user_id: this user has used the {budget.user_seconds} s of the {budget.period.value}",
            retry_after_s=(window.end - now).total_seconds(),
        )
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
        Overspent(task=task, spent_seconds=spent[task.user_id])
        for task in map(task_from_row, live)
        if task.user_id in over and window.start <= task.create_time < window.end
    ]


async def _spent(
    transaction: Transaction, window: Window, *, now: datetime, user_id: str = ""
) -> Mapping[str, int]:
    """Return what a user has used in a period, or everybody who has a live task: in seconds."""
    own: tuple[SqlValue, ...] = (user_id,) if user_id else ()
    kept = await transaction.fetch(
        f"SELECT user_id, sum({_SECONDS}) AS seconds FROM tasks"
        f" WHERE create_time >= $2 AND create_time < $3 AND {_whose(user_id, 4)} GROUP BY user_id",
        to_micros(now),
        to_micros(window.start),
        to_micros(window.end),
        *own,
    )
    removed = await transaction.fetch(
        "SELECT user_id, sum(billable_seconds) AS seconds FROM usage_days"
        f" WHERE day >= $1 AND day < $2 AND {_whose(user_id, 3)} GROUP BY user_id",
        _day(window.start),
        _day(window.end),
        *own,
    )
    spent: dict[str, int] = {}
    for row in (*kept, *removed):
        spent[row["user_id"]] = spent.get(row["user_id"], 0) + int(row["seconds"])
    return spent


def _whose(user_id: str, place: int) -> str:
    if user_id:
        return f"user_id = ${place}"
    return f"user_id IN (SELECT user_id FROM tasks WHERE {IS_LIVE} AND user_id <> '')"


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
        f"SELECT task_id, user_id, create_time, {_TURNS} AS turns, {_SECONDS} AS seconds"
        " FROM tasks WHERE (create_time, task_id) > ($2, $4) AND create_time < $3"
        f"{_of_user(wanted, parameters)} ORDER BY create_time, task_id LIMIT $5",
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
            transaction, wanted, _day(after.time), after=after.key, size=size, now=now
        )
        if rows:
            return rows
    start = _day(wanted.window.start) if after is None else _day(after.time) + 1
    day = await _first_day(transaction, wanted, start)
    if day is None:
        return ()
    return await _of_day(transaction, wanted, day, after=None, size=size, now=now)


async def _first_day(transaction: Transaction, wanted: UsageFilter, start: int) -> int | None:
    """Return the first day with usage from a day on; None if there is none."""
    end = _day(wanted.window.end)
    times: list[SqlValue] = [start * DAY_MICROS, end * DAY_MICROS]
    days: list[SqlValue] = [start, end]
    kept = await transaction.fetch_one(
        "SELECT min(create_time) AS first FROM tasks WHERE create_time >= $1 AND create_time < $2"
        f"{_of_user(wanted, times)}",
        *times,
    )
    removed = await transaction.fetch_one(
        "SELECT min(day) AS first FROM usage_days WHERE day >= $1 AND day < $2"
        f"{_of_user(wanted, days)}",
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
    whose = _of_user(wanted, parameters)
    if after is not None:
        parameters.append(after)
        whose += f" AND user_id > ${len(parameters)}"
    rows = await transaction.fetch(
        "SELECT user_id, sum(tasks) AS tasks, sum(turns) AS turns, sum(seconds) AS seconds FROM"
        f" (SELECT user_id, 1 AS tasks, {_TURNS} AS turns, {_SECONDS} AS seconds FROM tasks"
        f" WHERE create_time >= $2 AND create_time < $3{whose} UNION ALL"
        " SELECT user_id, tasks, turns, billable_seconds FROM usage_days"
        f" WHERE day = $4{whose}) AS parts GROUP BY user_id ORDER BY user_id LIMIT $5",
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
    await transaction.execute(
        "INSERT INTO usage_days (user_id, day, tasks, turns, billable_seconds)"
        f" SELECT user_id, {_DAY}, count(*), CAST(sum({_TURNS}) AS BIGINT),"
        f" CAST(sum({_seconds('stop_time')}) AS BIGINT)"
        f" FROM tasks WHERE task_id IN ({places(task_ids)}) GROUP BY user_id, {_DAY}"
        " ON CONFLICT (user_id, day) DO UPDATE SET tasks = usage_days.tasks + excluded.tasks,"
        " turns = usage_days.turns + excluded.turns,"
        " billable_seconds = usage_days.billable_seconds + excluded.billable_seconds",
        *task_ids,
    )
    await provider_usage.keep(transaction, task_ids)


def _of_user(wanted: UsageFilter, parameters: list[SqlValue]) -> str:
    """Return the condition of the filter's user, whose id it adds to the parameters."""
    if not wanted.user_id:
        return ""
    parameters.append(wanted.user_id)
    return f" AND user_id = ${len(parameters)}"


def _day(time: datetime) -> int:
    return to_micros(time) // DAY_MICROS
