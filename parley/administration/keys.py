"""`parley keys`: the API keys of a tenant, which the task service keeps."""

import os
from enum import StrEnum
from typing import Annotated

import typer

from parley.administration.service_module import run_module
from parley.plan.current_run import current_run
from parley.plan.errors import PlanError
from parley.plan.saved_secrets import complete_for_client
from parley.terminal.console import fail
from parley.terminal.listing import IsJson

keys_app = typer.Typer(
    help="API keys: who may call the gateway, and for which tenant.", no_args_is_help=True
)


class Role(StrEnum):
    """What a key allows."""

    user = "user"
    server = "server"
    operator = "operator"


Tenant = Annotated[str, typer.Option(help="Whose key it is.")]


@keys_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What it is for, such as website.")],
    role: Annotated[
        Role,
        typer.Option(
            help="user: the tasks of one user; server: those of all users, and tickets; operator:"
            " everything of the tenant."
        ),
    ] = Role.server,
    user: Annotated[str, typer.Option(help="The user, with --role user.")] = "",
    days: Annotated[
        int, typer.Option(min=0, max=3650, help="How long it is good for; 0: until revoked.")
    ] = 0,
    tenant: Tenant = "default",
) -> None:
    """Make a key and print it, once."""
    if (role is Role.user) != bool(user):
        raise typer.BadParameter("--user goes with --role user, which needs it")
    _run("create", f"--role={role}", f"--user={user}", f"--days={days}", "--", name, tenant=tenant)


@keys_app.command("list")
def list_keys(is_json: IsJson = False, tenant: Tenant = "default") -> None:
    """List the keys, newest first."""
    _run("list", *(["--json"] * is_json), tenant=tenant)


@keys_app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(help="The key; see `parley keys list`.")],
    tenant: Tenant = "default",
) -> None:
    """Revoke a key: within seconds, no gateway lets it in."""
    _run("revoke", "--", key_id, tenant=tenant)


def _run(what: str, *words: str, tenant: str) -> None:
    """Run the task service's own client, with the secrets of `parley up`."""
    try:
        run = current_run(os.environ)
        environment = complete_for_client(run.environment(os.environ), replicas=run.replicas)
    except (PlanError, OSError) as error:
        fail(error)
    run_module("services.task.keys", what, f"--tenant={tenant}", *words, environment=environment)
