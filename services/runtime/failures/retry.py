"""When refused callers should try again: one after another, rather than all at once."""

import random
import time
from collections.abc import Callable


class RetrySchedule:
    """Gives each refused caller a time of its own, `apart_s` after that of the one before.

    So no more come back at once than can be served. Whoever would be given more than `longest_s`
    is given some time in its second half, as the schedule is then too long to be relied on.
    """

    def __init__(
        self,
        *,
        apart_s: float,
        longest_s: float,
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._apart_s = apart_s
        self._longest_s = longest_s
        self._clock = clock
        self._uniform = uniform
        self._last_at = float("-inf")

    def next_s(self, *, soonest_s: float) -> float:
        """Return after how many seconds, at least `soonest_s`, a caller should try again."""
        now = self._clock()
        at = max(now + soonest_s, self._last_at + self._apart_s)
        if at > now + self._longest_s:
            return self._uniform(self._longest_s / 2, self._longest_s)
        self._last_at = at
        return at - now
