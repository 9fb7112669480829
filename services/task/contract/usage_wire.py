"""Messages about usage and findings to values of the domain, and back."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from digitalhuman.task.v1 import task_pb2 as pb
from services.runtime.failures.errors import invalid
from services.runtime.limits import LONGEST_REPORT_DAYS
from services.runtime.wire import to_duration, to_timestamp
from services.task.contract import pages
from services.task.domain.provider_totals import ProviderTotals
from services.task.domain.usage import Grouping, Position, UsageFilter, UsageRow, Window
from services.task.reconciliation.findings import Finding


def from_usage_request(request: pb.ListUsageRequest) -> UsageFilter:
    """Return which usage a request wants. Raises ServiceError with INVALID_REQUEST."""
    start = _to_time(request.start_time, "start_time")
    end = _to_time(request.end_time, "end_time")
    if not timedelta() < end - start <= timedelta(days=LONGEST_REPORT_DAYS):
        raise invalid(
            "end_time",
            "timestamp.window",
            f"must be 1 to {LONGEST_REPORT_DAYS} days after start_time",
        )
    by_task = request.group_by == pb.USAGE_GROUPING_TASK
    return UsageFilter(
        window=Window(start=start, end=end),
        grouping=Grouping.TASK if by_task else Grouping.USER,
        user_id=request.user_id,
    )


def _to_time(timestamp: Timestamp, field: str) -> datetime:
    try:
        return timestamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise invalid(field, "timestamp", "is not a time") from None


def to_usage_page(rows: Sequence[UsageRow], wanted: UsageFilter, size: int) -> pb.ListUsageResponse:
    """Return a page of rows; one more than `size` of them shows that another page follows."""
    return pb.ListUsageResponse(
        rows=map(_to_row, rows[:size]),
        next_page_token=to_page_token(rows[size - 1].position, wanted) if len(rows) > size else "",
    )


def to_page_token(position: Position, wanted: UsageFilter) -> str:
    """Return the token of the page after a position."""
    return pages.encode(f"{position.time.isoformat()} {position.key}", wanted)


def from_page_token(token: str, wanted: UsageFilter) -> Position | None:
    """Return the position that a page follows; None for the first page.

    Raises ServiceError with INVALID_REQUEST.
    """
    if not token:
        return None
    time, _, key = pages.decode(token, wanted).partition(" ")
    try:
        return Position(time=datetime.fromisoformat(time), key=key)
    except ValueError:
        raise pages.bad_token() from None


def to_finding(finding: Finding) -> pb.Finding:
    """Return a finding."""
    return pb.Finding(
        action=pb.FindingAction.Value(f"FINDING_ACTION_{finding.action}"),
        tenant_id=finding.tenant_id,
        task_id=finding.task_id,
        avatar_id=finding.avatar_id,
        stream_id=finding.stream_id,
        reason=finding.reason,
    )


def _to_row(row: UsageRow) -> pb.UsageRow:
    day = row.position.time.replace(hour=0, minute=0, second=0, microsecond=0)
    return pb.UsageRow(
        day=to_timestamp(day.timestamp()),
        user_id=row.user_id,
        task_id=row.task_id,
        tasks=row.tasks,
        turns=row.turns,
        billable_seconds=row.billable_seconds,
        providers=map(_to_totals, row.providers),
    )


def _to_totals(totals: ProviderTotals) -> pb.ProviderTotals:
    return pb.ProviderTotals(
        currency=totals.currency,
        cost_micros=totals.cost_micros,
        input_tokens=totals.input_tokens,
        cached_tokens=totals.cached_tokens,
        output_tokens=totals.output_tokens,
        estimated_tokens=totals.estimated_tokens,
        characters=totals.characters,
        recognized_duration=to_duration(totals.recognized_ms / 1000),
    )
