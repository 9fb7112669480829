"""`parley usage` and `parley reconcile`: what tasks cost, and what should not be running."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from parley.gateway import Json
from parley.terminal import printable

_SECONDS_PER_MINUTE = 60
_PROVIDERS = {
    "Tokens in": "inputTokens",
    "Tokens out": "outputTokens",
    "Characters": "characters",
    "Heard s": "recognizedSeconds",
}


def table_of(rows: Sequence[Json]) -> Table:
    """Return a report on usage as a table, with a line of totals."""
    is_by_task = any("taskId" in row for row in rows)
    table = Table(show_edge=False, pad_edge=False, show_footer=True)
    totals = {
        name: sum(row.get(name, 0) for row in rows)
        for name in ("tasks", "turns", "billableSeconds", *_PROVIDERS.values())
    }
    table.add_column("Day", "All", no_wrap=True)
    table.add_column("User")
    if is_by_task:
        table.add_column("Task", no_wrap=True)
    for heading, name in (("Tasks", "tasks"), ("Turns", "turns")):
        table.add_column(heading, str(totals[name]), justify="right")
    table.add_column("Minutes", _minutes(totals["billableSeconds"]), justify="right")
    for heading, name in _PROVIDERS.items():
        table.add_column(heading, f"{totals[name]:,.0f}", justify="right")
    table.add_column("Cost", _costs(each for row in rows for each in row["costs"]), justify="right")
    for row in rows:
        names = (row.get("userId", ""), *((row["taskId"],) if is_by_task else ()))
        table.add_row(
            row["day"],
            *map(printable, names),
            str(row["tasks"]),
            str(row["turns"]),
            _minutes(row["billableSeconds"]),
            *(f"{row[name]:,.0f}" for name in _PROVIDERS.values()),
            _costs(row["costs"]),
        )
    return table


def show_findings(findings: Sequence[Json], console: Console, *, is_dry: bool) -> None:
    """Print what differs, and what is done about it."""
    if not findings:
        console.print("Nothing differs.")
        return
    table = Table(show_edge=False, pad_edge=False)
    for heading in ("To do" if is_dry else "Begun", "Task or avatar", "Stream", "Why"):
        table.add_column(heading)
    for each in findings:
        what = each["action"].lower().replace("_", " ")
        which = each.get("taskId") or each.get("avatarId", "")
        table.add_row(what, *map(printable, (which, each["streamId"], each["reason"])))
    console.print(table)


def _costs(costs: Iterable[Json]) -> str:
    """Return amounts of money, added up by currency."""
    sums: dict[str, float] = {}
    for each in costs:
        sums[each["currency"]] = sums.get(each["currency"], 0.0) + each["amount"]
    return "\n".join(f"{amount:,.4f} {currency}" for currency, amount in sorted(sums.items()))


def _minutes(seconds: int) -> str:
    return f"{seconds / _SECONDS_PER_MINUTE:.1f}"
