"""`parley doctor`: reports what is wrong on this machine and how to fix it."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from parley.finding import Finding, Verdict

_MARKS = {
    Verdict.FINE: "[green]✔[/green]",
    Verdict.WARNING: "[yellow]![/yellow]",
    Verdict.PROBLEM: "[red]✘[/red]",
}


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
