"""What tasks cost: budgets of users, days of tenants, and reports on usage.

All of a task counts for the day, in UTC, and the period in which it was created. So sums over
tasks, days and users agree, and a task that runs past midnight has one budget.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from services.runtime.callers.tenants import MICROS, TenantQuota
from services.task.domain.provider_totals import ProviderTotals
from services.task.domain.tasks import Task

SHORTEST = timedelta(seconds=10)
"""The least that a task can be ordered for; with less left of its budget, a user has none."""
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A time from `start` until before `end`, both beginnings of days in UTC."""

    start: datetime
    end: datetime


class Period(StrEnum):
    """How often budgets are renewed."""

    DAY = "day"
    MONTH = "month"

    def around(self, moment: datetime) -> Window:
        """Return the period, in UTC, that a moment lies in."""
        day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        if self is Period.DAY:
            return Window(start=day, end=day + _DAY)
        first = day.replace(day=1)
        # 31 days after the first of a month is in the next one.
        return Window(start=first, end=(first + 31 * _DAY).replace(day=1))

    def between(self, first: datetime, last: datetime) -> Iterator[Window]:
        """Yield the periods from that of one moment to that of another."""
        window = self.around(first)
        while window.start <= last:
            yield window
            window = self.around(window.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The billable seconds that each named user has in a period."""

    user_seconds: int
    period: Period


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What a tenant has used of a day: seconds of tasks, and what providers cost by currency."""

    seconds: int
    cost_micros: Mapping[str, int]

    def used_up(self, quota: TenantQuota) -> str:
        """Return what is used up, such as "the 600 minutes of the day"; empty for nothing."""
        if quota.minutes_per_day is not None and self.seconds >= 60 * quota.minutes_per_day:
            return f"the {quota.minutes_per_day} minutes of the day"
        cost = self.cost_micros.get(quota.currency or "", 0)
        if quota.cost_per_day is not None and cost >= MICROS * quota.cost_per_day:
            return f"the {quota.cost_per_day:g} {quota.currency} of the day"
        return ""


class Grouping(StrEnum):
    """What a row of a report stands for: a user's tasks of a day, or a task that is kept."""

    USER = "USER"
    TASK = "TASK"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageFilter:
    """Which tasks to report on, and how; an empty `user_id` means everybody."""

    window: Window
    grouping: Grouping
    user_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Position:
    """Where a row stands in a report: by the time of creation, or the day, then by task or user."""

    time: datetime
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """What tasks cost; `task_id` is empty unless the row stands for one."""

    position: Position
    user_id: str
    task_id: str = ""
    tasks: int
    turns: int
    billable_seconds: int
    providers: tuple[ProviderTotals, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Overspent:
    """A live task whose user has used up a budget, and how much that used."""

    task: Task
    spent_seconds: int
