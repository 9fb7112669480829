"""The commands `parley up` and `parley env`."""

import asyncio
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import dotenv
import typer

from parley.certificates.issuing import tls_settings
from parley.plan.current_run import CurrentRun, is_running, noted
from parley.plan.database import database_of, require_reachable, with_database
from parley.plan.errors import PlanError
from parley.plan.paths import ROOT
from parley.plan.ports import require_free_ports
from parley.plan.processes import Process, processes
from parley.plan.saved_secrets import complete_with_saved
from parley.supervision.supervisor import Supervisor
from parley.terminal.console import console, fail


def up(
    replicas: Annotated[
        int,
        typer.Option(min=1, max=20, help="How many of each service; more than 1 share a database."),
    ] = 1,
    database: Annotated[
        str | None,
        typer.Option(
            metavar="postgresql://…", help="Where tasks are kept; default: TASK_DATABASE."
        ),
    ] = None,
    tls: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            file_okay=False,
            help="Encrypt between the processes, with the certificates of `parley certificates`.",
        ),
    ] = None,
) -> None:
    """Run everything here until Ctrl-C."""
    try:
        raise typer.Exit(asyncio.run(_up(replicas, database, tls)))
    except (PlanError, OSError) as error:
        fail(error)


async def _up(replicas: int, database: str | None, tls: Path | None) -> int:
    given = with_database(os.environ, database, replicas=replicas)
    if tls is not None:
        given = {**given, **tls_settings(tls)}
    if shared := database_of(given, "TASK_DATABASE"):
        await require_reachable(shared)
    environment = complete_with_saved(given, replicas=replicas)
    planned = processes(environment, replicas=replicas)
    _require_ports(planned, environment)
    with noted(CurrentRun(tls=tls, replicas=replicas), environment):
        return await Supervisor(planned, environment, console).run()


def _require_ports(planned: Sequence[Process], environment: Mapping[str, str]) -> None:
    try:
        require_free_ports(planned)
    except PlanError as error:
        if not is_running(environment):
            raise
        running = "Parley runs here already: stop it there by Ctrl-C, or move a second one's ports."
        raise PlanError(f"{running}\n{error}") from None


def print_environment() -> None:
    """Print the environment for processes started by hand: eval "$(parley env)"."""
    try:
        completed = complete_with_saved(os.environ)
    except (PlanError, OSError) as error:
        fail(error)
    # The values of .env were not in the environment before this command.
    needed = dotenv.dotenv_values(ROOT / ".env").keys() | (completed.keys() - os.environ.keys())
    for name in sorted(needed & completed.keys()):
        console.out(f"export {name}={shlex.quote(completed[name])}", highlight=False)
