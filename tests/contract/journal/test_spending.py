"""What tenants use of a day, and that nothing more is begun once it is used up."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from services.runtime.callers.caller import acting_for, of_tenant
from services.runtime.callers.tenants import TenantQuota, Tenants
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.conversation import TurnClosed
from services.task.domain.provider_totals import ProviderTotals
from services.task.domain.tasks import Task, accepted
from services.task.domain.usage import Period, Spending
from services.task.ports.journal import Journal
from tests.support.journal import GRACE, NOW, UNLIMITED, add, end, event, task
from tests.support.task import ManualClock

DAY = timedelta(days=1)
TODAY = Period.DAY.around(NOW)
SMALL = TenantQuota(live_tasks=2, minutes_per_day=2, cost_per_day=1.5, currency="USD")
LIMITED = replace(UNLIMITED, tenants=Tenants(by_id={"small": SMALL}))


async def begin(journal: Journal, number: int, tenant_id: str, **fields: Any) -> Task:
    """Add a task that is paid for from now on."""
    made = await add(journal, number, **{"tenant_id": tenant_id, "create_time": NOW, **fields})
    accept = partial(accepted, avatar_id="a", digital_human_id="mia", at=made.create_time)
    with acting_for(of_tenant(tenant_id)):
        await journal.tasks.change(made.task_id, accept)
    return made


async def finish(journal: Journal, made: Task, *, seconds: float) -> None:
    """End a task that cost so many seconds."""
    with acting_for(of_tenant(made.tenant_id)):
        await end(journal, made.task_id, at=made.create_time + timedelta(seconds=seconds))


async def pay(journal: Journal, made: Task, *costs: tuple[str, int]) -> None:
    """Have a turn of a task cost something, in millionths of some currencies."""
    used = tuple(ProviderTotals(currency=each, cost_micros=micros) for each, micros in costs)
    with acting_for(of_tenant(made.tenant_id)):
        change = TurnClosed(reply_text="Hi.", heard_text="Hi.", providers=used)
        await journal.conversations.append(made.task_id, [event(1, 1, change)], closing_grace=GRACE)


async def refusal(journal: Journal, of: Task) -> ServiceError | None:
    """Return with what a new task is refused."""
    try:
        await journal.tasks.add(of, None, LIMITED)
    except ServiceError as error:
        return error
    return None


async def test_a_day_adds_up_seconds_and_costs_of_all_that_a_tenant_has(
    journal: Journal, clock: ManualClock
) -> None:
    first = await begin(journal, 1, "small", user_id="ann")
    await pay(journal, first, ("USD", 400_000), ("EUR", 7))
    await finish(journal, first, seconds=30)
    second = await begin(journal, 2, "small", user_id="bob")
    await pay(journal, second, ("USD", 600_000))
    await begin(journal, 3, "large")
    await begin(journal, 4, "small", create_time=NOW - timedelta(hours=1))
    clock.advance(9.1)
    assert await journal.usage.spending(("small", "large"), TODAY) == {
        "small": Spending(seconds=40, cost_micros={"USD": 1_000_000, "EUR": 7}),
        "large": Spending(seconds=10, cost_micros={}),
    }


async def test_what_removed_tasks_cost_still_counts(journal: Journal) -> None:
    for number, tenant_id in enumerate(("small", "default")):
        removed = await begin(journal, number, tenant_id)
        await pay(journal, removed, ("USD", 5))
        await finish(journal, removed, seconds=30)
    while await journal.erasure.erase_ended(before=NOW + DAY):
        pass
    while await journal.erasure.remove_ended(before=NOW + DAY):
        pass
    spent = Spending(seconds=30, cost_micros={"USD": 5})
    assert await journal.usage.spending(("small", "default"), TODAY) == {
        "small": spent,
        "default": spent,
    }


@pytest.mark.parametrize(("seconds", "micros"), [(120, 0), (1, 1_500_000)])
async def test_a_tenant_that_has_used_up_its_day_begins_nothing_more(
    journal: Journal, seconds: float, micros: int
) -> None:
    made = await begin(journal, 1, "small")
    assert await refusal(journal, task(2, tenant_id="small")) is None
    await pay(journal, made, ("USD", micros))
    await finish(journal, made, seconds=seconds)
    error = await refusal(journal, task(3, tenant_id="small"))
    assert error is not None
    assert error.reason is Reason.BUDGET_EXCEEDED
    assert error.retry_after_s == pytest.approx(DAY.total_seconds(), abs=5)
    assert await refusal(journal, task(4, tenant_id="large")) is None
    assert await refusal(journal, task(5, tenant_id="small", create_time=NOW + DAY)) is None


async def test_a_tenant_has_no_more_live_tasks_than_its_quota(journal: Journal) -> None:
    first = await begin(journal, 1, "small")
    await begin(journal, 2, "small")
    error = await refusal(journal, task(3, tenant_id="small"))
    assert error is not None
    assert error.reason is Reason.QUOTA_EXCEEDED
    assert error.retry_after_s == 60
    assert await refusal(journal, task(4, tenant_id="large")) is None
    await finish(journal, first, seconds=1)
    assert await refusal(journal, task(5, tenant_id="small")) is None


async def test_its_own_quota_is_told_before_that_all_places_are_taken(journal: Journal) -> None:
    full = replace(LIMITED, running=2)
    for number in (1, 2):
        await begin(journal, number, "small")
    for tenant_id, reason in (
        ("small", Reason.QUOTA_EXCEEDED),
        ("large", Reason.CAPACITY_EXCEEDED),
    ):
        with pytest.raises(ServiceError) as caught:
            await journal.tasks.add(task(3, tenant_id=tenant_id), None, full)
        assert caught.value.reason is reason
