"""Makes a process start sooner; it imports this before all else.

structlog imports rich to draw on terminals, and httpx its own command line: an eighth of what it
takes to load the task service. What is loaded stays: to look for garbage in it, again and again,
takes a tenth more. `services.runtime.process.until_stopped` begins with that.
"""

import gc
import sys

for _name in ("rich", "httpx._main"):
    # As if it were not installed, which both libraries provide for.
    sys.modules.setdefault(_name, None)  # type: ignore[arg-type]

gc.disable()
