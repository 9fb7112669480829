"""`parley tasks`: what is on air, and how to stop it."""

import asyncio
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from parley.gateway import DEFAULT_TENANT, Gateway, GatewayError, Json
from parley.terminal import printable

LIVE_STATES = ("CREATING", "STARTING", "STREAMING", "STOPPING")
_STOPPABLE_STATES = LIVE_STATES[:3]
_AT_ONCE = 8
_SECONDS = len("2026-01-31T12:00:00")


def table_of(tasks: Sequence[Json]) -> Table:
    """Return tasks as a table."""
    table = Table(show_edge=False, pad_edge=False)
    for heading in ("Task", "Tenant", "State", "Digital human", "Room", "Since"):
        table.add_column(heading, no_wrap=heading == "Task")
    for task in tasks:
        since = _readable(task.get("startTime") or task.get("createTime") or "")
        shown = map(printable, (_digital_human(task), task["roomId"]))
        table.add_row(task["taskId"], _tenant(task), task["state"], *shown, since)
    return table


def _tenant(task: Json) -> str:
    return str(task.get("tenantId", DEFAULT_TENANT))


def _digital_human(task: Json) -> str:
    return str(task.get("digitalHumanId", "the default"))


def _readable(time: str) -> str:
    """Return an RFC 3339 time in UTC in readable form, to the second."""
    return f"{time[:_SECONDS].replace('T', ' ')} UTC" if time else ""


async def stop_all(gateway: Gateway, console: Console, *, is_of_every_tenant: bool = False) -> None:
    """Stop all running tasks; raises GatewayError at the end for those that could not be."""
    tasks = await gateway.list_tasks(_STOPPABLE_STATES, is_of_every_tenant=is_of_every_tenant)
    if not tasks:
        console.print("Nothing is on air.")
    places = asyncio.Semaphore(_AT_ONCE)
    failures: list[GatewayError] = []

    async def stop_one(task: Json) -> None:
        tenant_id = _tenant(task) if is_of_every_tenant else None
        async with places:
            try:
                await stop(gateway, task["taskId"], console, tenant_id=tenant_id)
            except GatewayError as error:
                failures.append(error)

    async with asyncio.TaskGroup() as group:
        for task in tasks:
            group.create_task(stop_one(task))
    if failures:
        raise GatewayError(
            f"{len(failures)} of {len(tasks)} could not be stopped. {failures[0]}",
            reason=failures[0].reason,
        )


async def stop(
    gateway: Gateway, task_id: str, console: Console, *, tenant_id: str | None = None
) -> None:
    """Stop one task, of a tenant if one is named."""
    task = await gateway.stop_task(task_id, tenant_id=tenant_id)
    console.print(f"{task_id} {task.get('state', 'STOPPED').lower()}")
