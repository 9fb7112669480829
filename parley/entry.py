"""What `parley` runs: the command line, once it is loaded."""

import sys
from importlib import import_module

_INTERRUPTED = 130
"""How shells report a process that SIGINT has ended."""


def main() -> None:
    """Run the command line; Ctrl-C while it is loaded ends it without a traceback."""
    try:
        import_module("parley.__main__").app()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
