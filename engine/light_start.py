"""Keeps a process from loading what libraries would draw on a terminal with.

structlog imports rich, and httpx its own command line: 70 ms of each start. A process imports this
before all else.
"""

import sys

for _name in ("rich", "httpx._main"):
    # As if it were not installed, which both libraries provide for.
    sys.modules.setdefault(_name, None)  # type: ignore[arg-type]
