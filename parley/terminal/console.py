"""The consoles of commands, and how a command fails."""

import sys
from typing import NoReturn

from rich.console import Console

console = Console()
errors = Console(stderr=True)


def fail(error: Exception) -> NoReturn:
    """Say what went wrong, and end the command."""
    errors.print(str(error), style="red", markup=False, soft_wrap=True)
    sys.exit(1)
