"""The command `parley reconcile`: what should not be running, or should be."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from parley.gateway_client.answers import Json
from parley.gateway_client.command import ApiKey, Url, with_gateway
from parley.gateway_client.gateway import Gateway
from parley.terminal.console import console
from parley.terminal.escaping import printable


def reconcile(
    is_dry: Annotated[
        bool, typer.Option("--dry-run", help="Only report what would be done.")
    ] = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Compare tasks with what the cloud runs, and settle the difference."""

    async def settle(gateway: Gateway) -> None:
        show_findings(await gateway.reconcile(is_dry=is_dry), console, is_dry=is_dry)

    with_gateway(url, api_key, settle)


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
