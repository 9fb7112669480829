"""`parley export` and `parley erase`: all that is kept of a user."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.console import Console

from parley.gateway_client.answers import GatewayError
from parley.gateway_client.command import ApiKey, Tenant, Url, with_gateway
from parley.gateway_client.gateway import Gateway
from parley.terminal.console import console
from parley.terminal.escaping import printable


def require_user(user: str) -> str:
    """Return the id of a user; raises typer.BadParameter for none."""
    if not user:
        raise typer.BadParameter("must name a user, and is empty")
    return user


def export_user(
    user: Annotated[str, typer.Option(callback=require_user, help="Whose data.")],
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, help="New file to write; default: print.")
    ] = None,
    tenant: Tenant = None,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Hand out all that is kept of a user, one JSON object per line."""

    async def work(gateway: Gateway) -> None:
        if output is None:
            await export(gateway, user, sys.stdout)
        else:
            await export_to(gateway, user, output)

    with_gateway(url, api_key, work, tenant_id=tenant)


def erase_user(
    user: Annotated[str, typer.Option(callback=require_user, help="Whose data.")],
    is_sure: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    tenant: Tenant = None,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Remove all that is kept of a user; what the tasks cost stays, without the user."""
    if not is_sure:
        typer.confirm(f"Remove all that is kept of {printable(user)}?", abort=True)

    async def work(gateway: Gateway) -> None:
        await erase(gateway, user, console)

    with_gateway(url, api_key, work, tenant_id=tenant)


async def export(gateway: Gateway, user_id: str, sink: TextIO) -> None:
    """Write all that is kept of a user, one JSON object per line; raises GatewayError."""
    last = ""
    async for line in gateway.export_user(user_id):
        sink.write(f"{line}\n")
        last = line
    record = json.loads(last) if last else {}
    if record.get("record") != "end":
        problem = record.get("problem", {})
        raise GatewayError(
            f"The export is not complete: {problem.get('detail', 'the connection was lost')}",
            reason=str(problem.get("reason", "")),
        )


async def export_to(gateway: Gateway, user_id: str, file: Path) -> None:
    """Write the same to a new file that only its owner may read; raises GatewayError."""
    try:
        with _new_private(file) as sink:
            await export(gateway, user_id, sink)
    except OSError as error:
        raise GatewayError(f"{file} cannot be written: {error.strerror}") from None


async def erase(gateway: Gateway, user_id: str, console: Console) -> None:
    """Remove all that is kept of a user; raises GatewayError."""
    erased = await gateway.erase_user(user_id)
    console.print(f"{erased['tasks']} tasks removed; what they cost is kept without the user.")


@contextmanager
def _new_private(file: Path) -> Iterator[TextIO]:
    """Open a new file, which is removed if the block raises: a part must not pass for the whole."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(handle, "w", encoding="utf-8") as sink:
            yield sink
    except BaseException:
        file.unlink()
        raise
