"""An answer that changes rarely, kept so that many callers cost few calls."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from services.runtime.failures.errors import ServiceError

T = TypeVar("T")

FRESH_S = 30.0
"""How long an answer is given without asking again."""

OLDEST_S = 600.0
"""How old an answer may be that is given because there is no newer one."""

PATIENCE_S = 0.5
"""How long a caller waits for a newer answer where there is an old one."""

FAILED_S = 5.0
"""How long a failure is given without asking again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer(Generic[T]):
    value: T
    at: float


class Cached(Generic[T]):
    """One answer, which is asked for once at a time, however many want it."""

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        self._ask = ask
        self._answer: _Answer[T] | None = None
        self._failure: ServiceError | None = None
        self._ask_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None

    async def get(self) -> T:
        """Return the answer; raises ServiceError when there is none."""
        if self._asking is None and _now() >= self._ask_at:
            # Its own task: callers who leave, or are impatient, do not end it.
            self._asking = asyncio.create_task(self._ask_again())
        if self._asking is not None:
            patience_s = PATIENCE_S if self._known() else None
            done, _ = await asyncio.wait({self._asking}, timeout=patience_s)
            for asking in done:
                asking.result()
        known = self._known()
        if known is not None:
            return known.value
        assert self._failure is not None, "asked, and neither answered nor failed"
        raise self._failure

    def _known(self) -> _Answer[T] | None:
        is_usable = self._answer is not None and _now() - self._answer.at < OLDEST_S
        return self._answer if is_usable else None

    async def _ask_again(self) -> None:
        try:
            self._answer = _Answer(value=await self._ask(), at=_now())
            self._ask_at = _now() + FRESH_S
        except ServiceError as error:
            self._failure = error
            self._ask_at = _now() + FAILED_S
        finally:
            self._asking = None


def _now() -> float:
    return asyncio.get_running_loop().time()
