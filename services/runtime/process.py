"""A process: runs its main coroutine on the fast loop until a signal, or says why it cannot."""

import argparse
import asyncio
import gc
import signal
import sys
from collections.abc import Callable, Coroutine

import uvloop

from services.runtime.check import CHECK_FLAG, Check, tell
from services.runtime.network.proxies import ProxyError
from services.runtime.operator_error import OperatorError
from services.runtime.settings.environment import SettingsError
from services.runtime.telemetry.tracing import tracing

CANNOT_START = 1
WRONG_SETTINGS = 2
INTERRUPTED = 128 + signal.SIGINT

WHOLE_AFTER = 2
"""After how many collections of the middle generation one of all follows; by default ten.

It finds less each time: in 500 lines of conversations, the longest pause fell from 55 to 22 ms.
"""

USUAL_THRESHOLDS = gc.get_threshold()
MADE_BY_A_START = 250_000
"""More objects than a start makes: nearly all stay, so no garbage is looked for among them."""

COLLECTED_EVERY_S = 0.25
"""How often garbage is collected, if so much has come up that the interpreter would."""
OVERDUE = 10
"""At how many times that much it is collected at once: a pause of some milliseconds."""


def run(
    name: str,
    main: Callable[[], Coroutine[None, None, None]],
    *,
    check: Check | None = None,
) -> None:
    """Run a process to its end, or with `--check` only its check.

    What serves is loaded by `main`, in which it costs less. Exits with 2 for wrong settings or
    arguments, with 1 for OperatorError and OSError, whose messages are for operators, and with 130
    when it is interrupted before it waits for signals, such as while it loads models.
    """
    _start_light()
    if check is not None and _is_to_check(name):
        asyncio.run(tell(check))
        return
    try:
        with tracing(name):
            uvloop.run(main())
    except (SettingsError, ProxyError) as error:
        print(f"{name}: the settings are wrong:\n{error}", file=sys.stderr)
        sys.exit(WRONG_SETTINGS)
    except (OSError, OperatorError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(CANNOT_START)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _start_light() -> None:
    """Do without what takes a fifth of a start: garbage collections, and what nothing here uses."""
    gc.set_threshold(MADE_BY_A_START)
    for name in ("rich", "httpx._main", "pydantic.v1"):
        # As if they were not installed, for which structlog, httpx and FastAPI provide.
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]


def _is_to_check(name: str) -> bool:
    parser = argparse.ArgumentParser(
        name, description="Runs until a signal. All settings are in the environment: .env.example."
    )
    parser.add_argument(
        CHECK_FLAG, action="store_true", dest="is_check", help="say what is wrong with the settings"
    )
    is_check: bool = parser.parse_args().is_check
    return is_check


async def until_stopped() -> None:
    """Return at the first SIGTERM or SIGINT; a second one ends the process immediately.

    What exists at that point stays, so garbage collection need not visit models and code.
    """
    # What is garbage by now would be spared too.
    gc.collect()
    spare_what_exists()
    collecting = asyncio.create_task(_collect_in_small_parts())
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        await stopped.wait()
    finally:
        collecting.cancel()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)


def spare_what_exists() -> None:
    """Never look for garbage in what exists by now, such as all that was loaded: it stays."""
    gc.freeze()
    # The interpreter puts a whole collection off until a quarter of what it found last time is new:
    # now it finds nothing, as the rest is frozen.
    gc.collect()


async def _collect_in_small_parts() -> None:
    """Have garbage collected often, and so little at once: nobody is served meanwhile.

    Of the whole generation, collections took up to 90 ms of processor time under load. By itself
    the interpreter collects where much is made, which is where somebody waits: half a millisecond
    of nearly every turn, while the language model is asked. A timer seldom meets that.
    """
    young, middle, _ = USUAL_THRESHOLDS
    while True:
        gc.set_threshold(young * OVERDUE, middle, WHOLE_AFTER)
        await asyncio.sleep(COLLECTED_EVERY_S)
        gc.set_threshold(young, middle, WHOLE_AFTER)
        _Occasion()


class _Occasion:
    """Something new, at which the interpreter looks which collections are due."""
