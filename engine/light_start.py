"""Makes a process start sooner, as all of Parley's do, without importing them."""

import gc
import sys

USUAL_THRESHOLDS = gc.get_threshold()
MADE_BY_A_START = 250_000
"""More objects than a start makes: nearly all stay, so no garbage is looked for among them."""


def start_light() -> None:
    """Do without what takes a tenth of a start: garbage collections, and drawing on terminals.

    To be called before anything else is loaded.
    """
    gc.set_threshold(MADE_BY_A_START)
    for name in ("rich", "httpx._main"):
        # As if they were not installed, for which structlog and httpx provide.
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]


def end_start() -> None:
    """Collect garbage as usual, except in what exists by now: that stays."""
    gc.freeze()
    gc.set_threshold(*USUAL_THRESHOLDS)
