"""Runs a command that a service has of its own: it knows its settings and its data."""

import subprocess
import sys
from collections.abc import Mapping
from typing import NoReturn

import typer


def run_module(module: str, *words: str, environment: Mapping[str, str] | None = None) -> NoReturn:
    """Run a module in this terminal, and end the command with its exit code."""
    command = (sys.executable, "-m", module, *words)
    raise typer.Exit(subprocess.run(command, env=environment, check=False).returncode)
