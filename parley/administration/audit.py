"""The command `parley audit`: who did what."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table

from parley.gateway_client.answers import Json
from parley.gateway_client.command import ApiKey, Tenant, Url, with_gateway
from parley.gateway_client.gateway import Gateway
from parley.terminal.escaping import printable
from parley.terminal.listing import IsJson, show, table_with


def list_audit(
    actor: Annotated[str | None, typer.Option(help="Only what this actor did.")] = None,
    action: Annotated[
        str | None, typer.Option(help="Only this action, such as task.created.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option(help="Only what was done to this task, key or webhook.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Entries at most.")] = 100,
    is_json: IsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    tenant: Tenant = None,
) -> None:
    """List who did what, newest first."""
    given = {"actor": actor, "action": action, "subject": subject}
    params = {name: value for name, value in given.items() if value is not None}

    async def show_entries(gateway: Gateway) -> None:
        show(await gateway.audit(params, limit=limit), entries_of, is_json=is_json)

    with_gateway(url, api_key, show_entries, tenant_id=tenant)


def entries_of(entries: Sequence[Json]) -> Table:
    """Return entries of the audit log as a table."""
    table = table_with("When", "Who", "User", "What", "To", "Request")
    for each in entries:
        names = (each.get("actor", ""), each.get("userId", ""), each["action"], each["subject"])
        table.add_row(each["time"], *map(printable, names), printable(each["requestId"]))
    return table
