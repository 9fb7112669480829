"""The call that a conversation belongs to, of which more may become known at any time."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from services.runtime.failures.errors import ServiceError
from services.speech.dialogue.call import NOTHING_KNOWN, CallFacts

log = structlog.get_logger(__name__)

READ_S = 0.5
"""How long a turn waits for what is known; it goes on with what was known before."""


class FactsOfCall:
    """Reads what is known anew for each turn: so a change holds from the next turn on."""

    def __init__(self, read: Callable[[], Awaitable[CallFacts]], known: CallFacts) -> None:
        self._read = read
        self._known = known

    @classmethod
    def without_task(cls) -> "FactsOfCall":
        """Return a call of which nothing can be known."""

        async def nothing() -> CallFacts:
            return NOTHING_KNOWN

        return cls(nothing, NOTHING_KNOWN)

    @property
    def known(self) -> CallFacts:
        """What was known when it was read last."""
        return self._known

    async def current(self) -> CallFacts:
        """Return what is known now."""
        try:
            async with asyncio.timeout(READ_S):
                self._known = await self._read()
        except (TimeoutError, ServiceError) as error:
            log.warning("facts of the call not read", error=type(error).__name__)
        return self._known
