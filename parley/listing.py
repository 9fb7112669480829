"""How commands print lists: as a table, or as JSON for programs."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from parley.gateway import Json

IsJson = Annotated[bool, typer.Option("--json", help="Print each as a line of JSON.")]

_UNLIMITED = 1_000_000
"""Columns of what is no terminal: its lines are as long as their texts."""


def show(
    rows: Sequence[Json], table_of: Callable[[Sequence[Json]], Table], *, is_json: bool = False
) -> None:
    """Print rows: as a table, which fits a terminal and nothing else, or as JSON Lines."""
    if is_json:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
        return
    is_fitted = sys.stdout.isatty() or "COLUMNS" in os.environ
    Console(width=None if is_fitted else _UNLIMITED).print(table_of(rows))
