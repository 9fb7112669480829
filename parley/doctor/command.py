"""The command `parley doctor`."""

import asyncio
import os
from collections.abc import Mapping, Sequence

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from parley.doctor.cloud import cloud
from parley.doctor.credentials import callbacks, credentials
from parley.doctor.databases import examine_databases
from parley.doctor.finding import judged
from parley.doctor.machine import machine, models
from parley.doctor.network import proxies
from parley.doctor.ports import ports
from parley.doctor.processes import check_processes
from parley.plan.current_run import beside_run
from parley.plan.errors import PlanError
from parley.terminal.console import console, fail
from services.runtime.check import Finding, Verdict

_MARKS = {
    Verdict.FINE: "[green]✔[/green]",
    Verdict.WARNING: "[yellow]![/yellow]",
    Verdict.PROBLEM: "[red]✘[/red]",
}


def examine_machine() -> None:
    """Report what is wrong on this machine and how to fix it."""
    try:
        with console.status("Examining this machine"):
            found = asyncio.run(_found(beside_run(os.environ)))
    except OSError as error:
        fail(error)
    raise typer.Exit(show(found, console))


async def _found(environment: Mapping[str, str]) -> list[Finding]:
    around, processes = await asyncio.gather(_around(environment), check_processes(environment))
    return [*around, *processes]


async def _around(environment: Mapping[str, str]) -> list[Finding]:
    """Examine what is around the processes; takes a few seconds at most."""
    found = [
        *machine(),
        *models(),
        *credentials(environment),
        *callbacks(environment),
        *proxies(environment),
        *await examine_databases(environment),
    ]
    try:
        return [*found, *await ports(environment), *await cloud(environment)]
    except PlanError as error:
        remedy = ".env.example says which values are allowed."
        return [*found, judged("ports", False, str(error), remedy)]


def show(found: Sequence[Finding], console: Console) -> int:
    """Show the findings; returns 1 if there is a problem among them, else 0."""
    table = Table(show_edge=False, pad_edge=False)
    for heading in ("", "What", "Found", "What to do"):
        table.add_column(heading, overflow="fold")
    for each in found:
        texts = map(escape, (each.subject, each.found, each.remedy))
        table.add_row(_MARKS[each.verdict], *texts)
    console.print(table)
    problems = sum(each.verdict is Verdict.PROBLEM for each in found)
    if problems:
        console.print(f"[red]{problems} to fix.[/red]")
        return 1
    console.print("[green]All is well.[/green]")
    return 0
