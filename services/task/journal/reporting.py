"""What tasks cost: each call reads once, or once for each day of a report."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial

from services.task.domain.tasks import Clock
from services.task.domain.usage import (
    Budget,
    Grouping,
    Overspent,
    Position,
    Spending,
    UsageFilter,
    UsageRow,
    Window,
)
from services.task.journal import spending, usage
from services.task.journal.database import Database


class SqlUsage:
    """Adds up what is in the journal's database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def report(
        self, wanted: UsageFilter, *, after: Position | None, size: int
    ) -> Sequence[UsageRow]:
        """Return up to `size` rows of a report after a position, in order."""
        if wanted.grouping is Grouping.TASK:
            return await self._database.read(
                partial(usage.by_task, wanted=wanted, after=after, size=size, now=self._clock())
            )
        return await usage.by_day(self._database, wanted, after=after, size=size, clock=self._clock)

    async def overspent(self, budget: Budget, window: Window) -> Sequence[Overspent]:
        """Return the live tasks of a period whose users have used up their budgets."""
        return await self._database.read(
            partial(usage.overspent, budget=budget, window=window, now=self._clock())
        )

    async def spending(self, tenant_ids: Collection[str], day: Window) -> Mapping[str, Spending]:
        """Return what each of some tenants has used of a day."""
        return await self._database.read(
            partial(spending.of_tenants, tenant_ids=tenant_ids, day=day, now=self._clock())
        )
