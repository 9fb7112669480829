"""Keeps a process from loading what libraries would draw on a terminal with.

structlog imports rich, and httpx its own command line: an eighth of what it takes to load the task
service. A process imports this before all else.
"""

import sys

for _name in ("rich", "httpx._main"):
    # As if it were not installed, which both libraries provide for.
    sys.modules.setdefault(_name, None)  # type: ignore[arg-type]
