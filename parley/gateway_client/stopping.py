"""Stops tasks, and reports each on a console."""

import asyncio

from rich.console import Console

from parley.gateway_client.answers import GatewayError, Json
from parley.gateway_client.gateway import DEFAULT_TENANT, Gateway

LIVE_STATES = ("CREATING", "STARTING", "STREAMING", "STOPPING")
_STOPPABLE_STATES = LIVE_STATES[:3]
_AT_ONCE = 8


async def stop_all(gateway: Gateway, console: Console, *, is_of_every_tenant: bool = False) -> None:
    """Stop all running tasks; raises GatewayError at the end for those that could not be."""
    tasks = await gateway.list_tasks(_STOPPABLE_STATES, is_of_every_tenant=is_of_every_tenant)
    if not tasks:
        console.print("Nothing is on air.")
    places = asyncio.Semaphore(_AT_ONCE)
    failures: list[GatewayError] = []

    async def stop_one(task: Json) -> None:
        tenant_id = tenant_of(task) if is_of_every_tenant else None
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


def tenant_of(task: Json) -> str:
    """Return the id of a task's tenant."""
    return str(task.get("tenantId", DEFAULT_TENANT))
