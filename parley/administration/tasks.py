"""`parley tasks`: what is on air, and how to stop it."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table

from parley.gateway_client.answers import Json
from parley.gateway_client.command import ApiKey, Tenant, Url, with_gateway
from parley.gateway_client.gateway import Gateway
from parley.gateway_client.stopping import LIVE_STATES, stop, stop_all, tenant_of
from parley.terminal.console import console
from parley.terminal.escaping import printable
from parley.terminal.listing import IsJson, show

tasks_app = typer.Typer(help="Digital humans on air.", no_args_is_help=True)

EveryTenant = Annotated[
    bool,
    typer.Option(
        "--every-tenant", help="Those of all tenants, with a key of the default tenant's operator."
    ),
]

_SECONDS = len("2026-01-31T12:00:00")


@tasks_app.command("list")
def list_tasks(
    is_all: Annotated[bool, typer.Option("--all", help="Include tasks that have ended.")] = False,
    is_of_every_tenant: EveryTenant = False,
    is_json: IsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    tenant: Tenant = None,
) -> None:
    """List the running tasks."""

    async def show_tasks(gateway: Gateway) -> None:
        states = () if is_all else LIVE_STATES
        found = await gateway.list_tasks(states, is_of_every_tenant=is_of_every_tenant)
        show(found, table_of, is_json=is_json)

    with_gateway(url, api_key, show_tasks, tenant_id=tenant)


@tasks_app.command("stop")
def stop_tasks(
    task_id: Annotated[
        str | None, typer.Argument(help="The task; see `parley tasks list`.")
    ] = None,
    is_all: Annotated[bool, typer.Option("--all", help="All running tasks.")] = False,
    is_of_every_tenant: EveryTenant = False,
    url: Url = None,
    api_key: ApiKey = None,
    tenant: Tenant = None,
) -> None:
    """Stop one task, or all."""
    if (task_id is None) != is_all:
        raise typer.BadParameter("name one task, or use --all")

    async def work(gateway: Gateway) -> None:
        if task_id is None:
            await stop_all(gateway, console, is_of_every_tenant=is_of_every_tenant)
        else:
            await stop(gateway, task_id, console)

    with_gateway(url, api_key, work, tenant_id=tenant)


def table_of(tasks: Sequence[Json]) -> Table:
    """Return tasks as a table."""
    table = Table(show_edge=False, pad_edge=False)
    for heading in ("Task", "Tenant", "State", "Digital human", "Room", "Since"):
        table.add_column(heading, no_wrap=heading == "Task")
    for task in tasks:
        since = _readable(task.get("startTime") or task.get("createTime") or "")
        shown = map(printable, (_digital_human(task), task["roomId"]))
        table.add_row(task["taskId"], tenant_of(task), task["state"], *shown, since)
    return table


def _digital_human(task: Json) -> str:
    return str(task.get("digitalHumanId", "the default"))


def _readable(time: str) -> str:
    """Return an RFC 3339 time in UTC in readable form, to the second."""
    return f"{time[:_SECONDS].replace('T', ' ')} UTC" if time else ""
