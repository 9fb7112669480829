"""What providers were used for, within one transaction: by task, and of removed tasks by day.

The rows of removed tasks have an empty task_id, or that of a tenant other than the default one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, fields

from services.runtime.callers.caller import DEFAULT_TENANT, current_caller
from services.task.domain.provider_totals import ProviderTotals
from services.task.journal.database import Transaction
from services.task.journal.rows import Row, SqlValue, places
from services.task.journal.tables import seen

DAY_MICROS = 86_400_000_000
NOBODY = "''"
_AMOUNTS = tuple(each.name for each in fields(ProviderTotals) if each.name != "currency")
_COLUMNS = ", ".join(_AMOUNTS)
_SUMS = ", ".join(f"CAST(sum({each}) AS BIGINT) AS {each}" for each in _AMOUNTS)
_INSERT = f"INSERT INTO provider_usage (task_id, tenant_id, user_id, day, currency, {_COLUMNS})"
_ADD = "ON CONFLICT (task_id, day, user_id, currency) DO UPDATE SET " + ", ".join(
    f"{each} = provider_usage.{each} + excluded.{each}" for each in _AMOUNTS
)
_REMOVED = f"CASE WHEN tenant_id = '{DEFAULT_TENANT}' THEN '' ELSE tenant_id END"
_GIVEN = ", ".join(f"CAST(${at} AS BIGINT)" for at in range(3, 3 + len(_AMOUNTS)))
_NOTE = (
    f"{_INSERT} SELECT task_id, tenant_id, user_id, create_time / {DAY_MICROS}, CAST($2 AS TEXT),"
    f" {_GIVEN}"
    f" FROM tasks WHERE task_id = $1 {_ADD}"
)


async def note(
    transaction: Transaction, used: Iterable[tuple[str, Sequence[ProviderTotals]]]
) -> None:
    """Add what turns of tasks used."""
    await transaction.execute_many(
        _NOTE, [(task_id, *astuple(each)) for task_id, totals in used for each in totals]
    )


async def of_tasks(
    transaction: Transaction, task_ids: Sequence[str]
) -> Mapping[str, tuple[ProviderTotals, ...]]:
    """Return what tasks used."""
    if not task_ids:
        return {}
    rows = await transaction.fetch(
        f"SELECT task_id AS key, currency, {_COLUMNS} FROM provider_usage"
        f" WHERE task_id IN ({places(task_ids)}) ORDER BY task_id, currency",
        *task_ids,
    )
    return _by_key(rows)


async def of_users(
    transaction: Transaction, day: int, user_ids: Sequence[str]
) -> Mapping[str, tuple[ProviderTotals, ...]]:
    """Return what users' tasks of a day used, removed ones included."""
    if not user_ids:
        return {}
    parameters: list[SqlValue] = [day, current_caller().tenant_id, *user_ids]
    rows = await transaction.fetch(
        f"SELECT user_id AS key, currency, {_SUMS} FROM provider_usage"
        f" WHERE day = $1 AND tenant_id = $2 AND user_id IN ({places(user_ids, first=3)})"
        " GROUP BY user_id, currency ORDER BY user_id, currency",
        *parameters,
    )
    return _by_key(rows)


async def keep(transaction: Transaction, task_ids: Sequence[str]) -> None:
    """Move what tasks used to their users' days, before they are removed."""
    chosen = f"FROM provider_usage WHERE task_id IN ({places(task_ids)})"
    await transaction.execute(
        f"{_INSERT} SELECT {_REMOVED}, tenant_id, user_id, day, currency, {_SUMS} {chosen}"
        f" GROUP BY tenant_id, user_id, day, currency {_ADD}",
        *task_ids,
    )
    await transaction.execute(f"DELETE {chosen}", *task_ids)


async def forget_user(transaction: Transaction, user_id: str) -> None:
    """Move what a user's removed tasks used to nobody's days."""
    parameters: list[SqlValue] = []
    mine = seen(parameters, user_id=user_id)
    chosen = f"FROM provider_usage WHERE task_id = {_REMOVED} AND {mine}"
    await transaction.execute(
        f"{_INSERT} SELECT task_id, tenant_id, {NOBODY}, day, currency, {_COLUMNS} {chosen} {_ADD}",
        *parameters,
    )
    await transaction.execute(f"DELETE {chosen}", *parameters)


def _by_key(rows: Iterable[Row]) -> dict[str, tuple[ProviderTotals, ...]]:
    found: dict[str, tuple[ProviderTotals, ...]] = {}
    for row in rows:
        amounts = {name: int(row[name]) for name in _AMOUNTS}
        totals = ProviderTotals(currency=row["currency"], **amounts)
        found[row["key"]] = (*found.get(row["key"], ()), totals)
    return found
