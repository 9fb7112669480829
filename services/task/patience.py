"""Storage that is asked again for a moment while its database does not answer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

import structlog

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason

P = TypeVar("P")

log = structlog.get_logger(__name__)

PATIENCE_S = 2.0
"""After so long, from the first call on, a failure is final: what called has patience of its own,
and a database that is away has been waited for by then."""
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 0.5


def patient(port: P) -> P:
    """Return a port with every call made again after an answer that did not come.

    Nobody can tell whether such a call took effect, and nobody has to: only what may be repeated is
    called this way. What the journal has recorded already is found, and changes from one state to
    the next are refused.
    """
    return cast(P, _Patient(port))


class _Patient:
    """Passes every method of a port on, as all are alike: calls that may be repeated."""

    def __init__(self, port: Any) -> None:
        self._port = port

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        call = f"{type(self._port).__name__}.{name}"
        return _repeated(call, getattr(self._port, name))


def _repeated(name: str, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def call(*arguments: Any, **options: Any) -> Any:
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + PATIENCE_S
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return await method(*arguments, **options)
            except ServiceError as error:
                is_away = error.reason is Reason.DEPENDENCY_UNAVAILABLE
                if not is_away or loop.time() + pause_s > give_up_at:
                    raise
            log.warning("storage asked again", call=name)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    return call
