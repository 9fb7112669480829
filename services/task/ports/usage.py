"""What tasks cost."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from services.task.domain.usage import (
    Budget,
    Overspent,
    Position,
    Spending,
    UsageFilter,
    UsageRow,
    Window,
)


class Usage(Protocol):
    """Adds up what tasks cost."""

    async def report(
        self, wanted: UsageFilter, *, after: Position | None, size: int
    ) -> Sequence[UsageRow]:
        """Return up to `size` rows of a report after a position (None: the first), in order."""

    async def overspent(self, budget: Budget, window: Window) -> Sequence[Overspent]:
        """Return the live tasks of a period, of all tenants, whose users are over their budgets."""

    async def spending(self, tenant_ids: Collection[str], day: Window) -> Mapping[str, Spending]:
        """Return what each of some tenants has used of a day."""
