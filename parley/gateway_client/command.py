"""What the commands that ask a gateway have in common."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import typer

from parley.gateway_client.answers import GatewayError
from parley.gateway_client.connection import address, gateway_at, key_of
from parley.gateway_client.gateway import Gateway
from parley.plan.errors import PlanError
from parley.plan.listeners import GATEWAY
from parley.terminal.console import fail

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
        where = address(url) if url else GATEWAY.url(os.environ)
        key = api_key or key_of(os.environ)
        async with gateway_at(where, key, tenant_id=tenant_id) as gateway:
            await work(gateway)

    try:
        asyncio.run(run())
    except (GatewayError, PlanError) as error:
        fail(error)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
