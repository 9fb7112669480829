"""The command `parley usage`: what tasks cost."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated

import typer
from rich.table import Table

from parley.gateway_client.answers import Json
from parley.gateway_client.command import ApiKey, Tenant, Url, with_gateway
from parley.gateway_client.gateway import Gateway
from parley.terminal.console import console
from parley.terminal.escaping import printable
from parley.terminal.listing import show

_SECONDS_PER_MINUTE = 60
_PROVIDERS = {
    "Tokens in": "inputTokens",
    "Tokens out": "outputTokens",
    "Characters": "characters",
    "Heard s": "recognizedSeconds",
}


class Grouping(StrEnum):
    """What a row of a report on usage stands for."""

    user = "user"
    task = "task"


def report_usage(
    by: Annotated[
        Grouping, typer.Option(help="Rows per user and day, or per task.")
    ] = Grouping.user,
    first: Annotated[
        str | None, typer.Option("--from", help="First day, such as 2026-01-31; UTC.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day; default: today.")] = None,
    user: Annotated[str | None, typer.Option(help="Only tasks of this user.")] = None,
    is_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    url: Url = None,
    api_key: ApiKey = None,
    tenant: Tenant = None,
) -> None:
    """Report what tasks cost; by default this month, per user and day."""
    given = {"groupBy": by.value, "from": first, "to": last, "userId": user}
    params = {name: value for name, value in given.items() if value is not None}

    async def show_usage(gateway: Gateway) -> None:
        if is_csv:
            console.out((await gateway.usage_csv(params)).rstrip(), highlight=False)
        else:
            show(await gateway.usage(params), table_of)

    with_gateway(url, api_key, show_usage, tenant_id=tenant)


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


def _costs(costs: Iterable[Json]) -> str:
    """Return amounts of money, added up by currency."""
    sums: dict[str, float] = {}
    for each in costs:
        sums[each["currency"]] = sums.get(each["currency"], 0.0) + each["amount"]
    return "\n".join(f"{amount:,.4f} {currency}" for currency, amount in sorted(sums.items()))


def _minutes(seconds: int) -> str:
    return f"{seconds / _SECONDS_PER_MINUTE:.1f}"
