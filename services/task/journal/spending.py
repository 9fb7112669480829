"""What tenants have used of a day, within one transaction."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime

from services.runtime.callers.tenants import TenantQuota
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.tasks import Task
from services.task.domain.usage import Period, Spending, Window
from services.task.journal.database import Transaction
from services.task.journal.rows import places, to_micros
from services.task.journal.usage import SECONDS, day_of, removed_costs


async def check(transaction: Transaction, task: Task, quota: TenantQuota, *, now: datetime) -> None:
    """Raise ServiceError with BUDGET_EXCEEDED if a task's tenant has used up its day."""
    if not quota.is_daily:
        return
    day = Period.DAY.around(task.create_time)
    spent = await of_tenants(transaction, [task.tenant_id], day, now=now)
    if used_up := spent[task.tenant_id].used_up(quota):
        raise ServiceError(
            Reason.BUDGET_EXCEEDED,
            f"This tenant has used {used_up}.",
            retry_after_s=(day.end - now).total_seconds(),
        )


async def of_tenants(
    transaction: Transaction, tenant_ids: Collection[str], day: Window, *, now: datetime
) -> Mapping[str, Spending]:
    """Return what each of some tenants has used of a day."""
    running = await transaction.fetch(
        f"SELECT tenant_id, sum({SECONDS}) AS seconds FROM tasks"
        " WHERE create_time >= $2 AND create_time < $3"
        f" AND tenant_id IN ({places(tenant_ids, first=4)}) GROUP BY tenant_id",
        to_micros(now),
        to_micros(day.start),
        to_micros(day.end),
        *tenant_ids,
    )
    days = day_of(day.start), day_of(day.end)
    of_day = f"day >= $1 AND day < $2 AND tenant_id IN ({places(tenant_ids, first=3)})"
    removed = await transaction.fetch(
        f"SELECT tenant_id, sum(billable_seconds) AS seconds FROM {removed_costs(of_day)}"
        " GROUP BY tenant_id",
        *days,
        *tenant_ids,
    )
    paid = await transaction.fetch(
        "SELECT tenant_id, currency, sum(cost_micros) AS micros FROM provider_usage"
        f" WHERE {of_day} GROUP BY tenant_id, currency",
        *days,
        *tenant_ids,
    )
    seconds: defaultdict[str, int] = defaultdict(int)
    for row in (*running, *removed):
        seconds[row["tenant_id"]] += int(row["seconds"])
    cost_micros: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for row in paid:
        cost_micros[row["tenant_id"]][row["currency"]] = int(row["micros"])
    return {
        each: Spending(seconds=seconds[each], cost_micros=cost_micros[each]) for each in tenant_ids
    }
