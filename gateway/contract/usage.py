"""Reports on usage and findings, as clients read them: JSON, and CSV for spreadsheets."""

import csv
from collections.abc import Iterable
from io import StringIO
from typing import Literal

from pydantic import Field

from digitalhuman.task.v1 import task_pb2 as pb
from gateway.contract.bodies import JsonRequest
from gateway.contract.json_model import JsonModel
from gateway.contract.wire import enum_name

CSV = "text/csv"
COLUMNS = (
    *("day", "user_id", "task_id", "tasks", "turns", "billable_seconds"),
    *("input_tokens", "cached_tokens", "output_tokens", "estimated_tokens", "characters"),
    *("recognized_seconds", "costs"),
)
_MICROS = 1_000_000
# What makes a spreadsheet take a text for a formula, also after what it strips.
_FORMULA = tuple("=+-@\t\r\n")


class Cost(JsonModel):
    """An amount of money."""

    currency: str = Field(description="ISO 4217.", examples=["USD"])
    amount: float


class UsageRow(JsonModel):
    """What a user's tasks of a day cost, or one task."""

    day: str = Field(
        description="The day on which they were created, in UTC.", examples=["2026-01-31"]
    )
    user_id: str | None = Field(default=None, description="Absent for tasks of nobody.")
    task_id: str | None = Field(default=None, description="With `groupBy=task`.")
    tasks: int
    turns: int
    billable_seconds: int = Field(description="Each task's rounded up; growing while one runs.")
    input_tokens: int = Field(description="What language models read, in turns that are over.")
    cached_tokens: int = Field(description="Those of them that were cached.")
    output_tokens: int = Field(description="What they wrote.")
    estimated_tokens: int = Field(
        description="Tokens of all that were estimated, as the provider did not count them."
    )
    characters: int = Field(description="What synthesizers were sent.")
    recognized_seconds: float = Field(description="Audio that recognisers were sent.")
    costs: list[Cost] = Field(
        default_factory=list, description="Of providers with a price, by currency."
    )


class UsageReport(JsonModel):
    """What tasks cost."""

    success: Literal[True] = True
    rows: list[UsageRow]
    next_page_token: str | None = Field(
        default=None, description="Token of the next page; absent on the last."
    )


class ReconcileBody(JsonRequest):
    """How to reconcile."""

    dry_run: bool = Field(default=False, description="Whether to change nothing.")


class Finding(JsonModel):
    """A difference between what should run and what does."""

    action: Literal["STOP_TASK", "CHECK_TASK", "STOP_AVATAR"]
    task_id: str | None = None
    avatar_id: str | None = None
    stream_id: str
    reason: str = Field(description="In words for operators.")


class Findings(JsonModel):
    """All differences."""

    success: Literal[True] = True
    findings: list[Finding]


def from_usage_row(row: pb.UsageRow) -> UsageRow:
    """Return a row of a report."""
    return UsageRow(
        day=row.day.ToDatetime().date().isoformat(),
        user_id=row.user_id or None,
        task_id=row.task_id or None,
        tasks=row.tasks,
        turns=row.turns,
        billable_seconds=row.billable_seconds,
        input_tokens=sum(each.input_tokens for each in row.providers),
        cached_tokens=sum(each.cached_tokens for each in row.providers),
        output_tokens=sum(each.output_tokens for each in row.providers),
        estimated_tokens=sum(each.estimated_tokens for each in row.providers),
        characters=sum(each.characters for each in row.providers),
        recognized_seconds=round(
            sum(each.recognized_duration.ToMilliseconds() for each in row.providers) / 1000, 3
        ),
        costs=[
            Cost(currency=each.currency, amount=each.cost_micros / _MICROS)
            for each in row.providers
            if each.currency
        ],
    )


def from_finding(finding: pb.Finding) -> Finding:
    """Return a difference."""
    return Finding(
        action=enum_name(pb.FindingAction, finding.action),
        task_id=finding.task_id or None,
        avatar_id=finding.avatar_id or None,
        stream_id=finding.stream_id,
        reason=finding.reason,
    )


def to_csv(rows: Iterable[UsageRow], *, has_header: bool) -> str:
    """Return rows as CSV (RFC 4180), in which no cell is a formula."""
    text = StringIO()
    writer = csv.writer(text)
    if has_header:
        writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_cell(getattr(row, column)) for column in COLUMNS])
    return text.getvalue()


def _cell(value: str | float | list[Cost] | None) -> str | float:
    """Return a cell that a spreadsheet shows as it is: a user id may begin like a formula."""
    if isinstance(value, list):
        return "; ".join(f"{each.amount:.6f} {each.currency}" for each in value)
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA):
        return f"'{value}"
    return "" if value is None else value
