"""What the commands that ask a gateway have in common."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from parley.gateway import Gateway, GatewayError, address, gateway_at, key_of
from parley.plan import GATEWAY, PlanError
from parley.readiness import base_url

console = Console()
errors = Console(stderr=True)

Url = Annotated[
    str | None,
    typer.Option("--url", "--gateway", help="Address of the gateway; default: this machine's."),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        "--api-key", "--key", help="Key of the gateway; default: the first of GATEWAY_API_KEYS."
    ),
]
Tenant = Annotated[
    str | None, typer.Option("--tenant", help="Act for this tenant; default: that of the key.")
]


def with_gateway(
    url: str | None,
    api_key: str | None,
    work: Callable[[Gateway], Coroutine[Any, Any, None]],
    *,
    tenant_id: str | None = None,
) -> None:
    """Do something with a gateway; what goes wrong is said, and ends the command."""

    async def run() -> None:
        where = address(url) if url else base_url(GATEWAY, os.environ)
        key = api_key or key_of(os.environ)
        async with gateway_at(where, key, tenant_id=tenant_id) as gateway:
            await work(gateway)

    try:
        asyncio.run(run())
    except (GatewayError, PlanError) as error:
        fail(error)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def fail(error: Exception) -> NoReturn:
    """Say what went wrong, and end the command."""
    errors.print(str(error), style="red", markup=False, soft_wrap=True)
    sys.exit(1)
