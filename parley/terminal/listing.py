"""How commands print lists: as a table, or as JSON for programs."""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

IsJson = Annotated[bool, typer.Option("--json", help="Print each as a line of JSON.")]

Row = TypeVar("Row", bound=Mapping[str, Any])

_UNLIMITED = 1_000_000
"""Columns of what is no terminal: its lines are as long as their texts."""


def show(
    rows: Sequence[Row], table_of: Callable[[Sequence[Row]], Table], *, is_json: bool = False
) -> None:
    """Print rows: as a table, which fits a terminal and nothing else, or as JSON Lines."""
    if is_json:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
        return
    is_fitted = sys.stdout.isatty() or "COLUMNS" in os.environ
    Console(width=None if is_fitted else _UNLIMITED).print(table_of(rows))


def table_with(*headings: str) -> Table:
    """Return a table for rows with an id in the first column, which is never wrapped."""
    table = Table(show_edge=False, pad_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, no_wrap=number == 0)
    return table
