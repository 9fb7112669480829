"""How much goes on at once: for one caller, and in all."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """How many of a kind one caller may have at once, and all together."""

    per_caller: int
    total: int


@dataclass(slots=True)
class Concurrency:
    """Counts what goes on, up to its ceiling."""

    ceiling: Ceiling
    _held: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def place(self, caller: str) -> Iterator[None]:
        """Hold a place for the block.

        Raises ServiceError when there is none: RATE_LIMITED for the caller, or CAPACITY_EXCEEDED.
        """
        if self._held[caller] >= self.ceiling.per_caller:
            raise _full(Reason.RATE_LIMITED, "One caller has too much going on at once.")
        if self._held.total() >= self.ceiling.total:
            raise _full(Reason.CAPACITY_EXCEEDED, "Too much goes on at once.")
        self._held[caller] += 1
        try:
            yield
        finally:
            self._held[caller] -= 1
            if not self._held[caller]:
                del self._held[caller]


def _full(reason: Reason, message: str) -> ServiceError:
    return ServiceError(reason, message, retry_after_s=1)
