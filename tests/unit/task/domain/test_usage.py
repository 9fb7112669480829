"""The periods of budgets."""

from datetime import UTC, datetime, timedelta

import pytest

from services.task.domain.usage import Period


@pytest.mark.parametrize(
    ("period", "moment", "start", "end"),
    [
        (Period.DAY, "2026-01-31T00:00", "2026-01-31", "2026-02-01"),
        (Period.DAY, "2026-12-31T23:59", "2026-12-31", "2027-01-01"),
        (Period.MONTH, "2026-01-01T00:00", "2026-01-01", "2026-02-01"),
        (Period.MONTH, "2026-12-31T23:59", "2026-12-01", "2027-01-01"),
        (Period.MONTH, "2028-02-29T12:00", "2028-02-01", "2028-03-01"),
        (Period.MONTH, "2026-04-15T12:00", "2026-04-01", "2026-05-01"),
    ],
)
def test_a_moment_lies_in_a_period(period: Period, moment: str, start: str, end: str) -> None:
    window = period.around(datetime.fromisoformat(moment).replace(tzinfo=UTC))
    assert window.start == datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert window.end == datetime.fromisoformat(end).replace(tzinfo=UTC)


def test_periods_between_moments_follow_each_other() -> None:
    last = datetime(2026, 1, 2, 0, 1, tzinfo=UTC)
    days = list(Period.DAY.between(last - timedelta(hours=25), last))
    assert [window.start.day for window in days] == [31, 1, 2]
    assert len(list(Period.MONTH.between(last - timedelta(hours=25), last))) == 2
    assert len(list(Period.MONTH.between(last, last))) == 1
