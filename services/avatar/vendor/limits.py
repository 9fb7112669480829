"""The cloud's rate limit, enforced on our side: so many calls per second and action."""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable

from services.avatar.vendor.actions import Action


class RateLimitedError(Exception):
    """A call's turn would come only after its deadline, in `retry_after_s`."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("the rate limit leaves no room before the deadline")
        self.retry_after_s = retry_after_s


class RateLimits:
    """Grants calls in order of arrival, at most `calls` of one action within any `window_s`.

    All callers in a process share one instance. Each action has its own allowance, so a stop never
    queues behind other work. The cloud does not say whether it counts by action or by account: if
    it refuses a call anyway (`hold`), every action but stops waits.
    """

    def __init__(
        self,
        *,
        calls: int = 10,
        # Longer than a second: evenly spaced calls may arrive closer together.
        window_s: float = 1.05,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._window_s = window_s
        self._clock = clock
        self._sleep = sleep
        self._held_until = float("-inf")
        self._grants: defaultdict[Action, deque[float]] = defaultdict(lambda: deque(maxlen=calls))

    async def take(self, action: Action, *, within_s: float) -> float:
        """Wait for the action's turn, at most `within_s`, and return it.

        Raises RateLimitedError immediately if the turn would come too late.
        """
        now = self._clock()
        turn = self._next_turn(action, now)
        if turn > now and turn - now > within_s:
            raise RateLimitedError(retry_after_s=turn - now)
        self._grants[action].append(turn)
        if turn > now:
            await self._sleep(turn - now)
        return turn

    def refund(self, action: Action, turn: float) -> None:
        """Return the turn of a call that never reached the cloud."""
        self._grants[action].remove(turn)

    def hold(self, pause_s: float) -> None:
        """Hold back every action but stops for a while, after the cloud refused a call."""
        self._held_until = max(self._held_until, self._clock() + pause_s)

    def _next_turn(self, action: Action, now: float) -> float:
        grants = self._grants[action]
        turn = now
        if len(grants) == grants.maxlen:
            turn = max(turn, grants[0] + self._window_s)
        if action is not Action.STOP_STREAM_TASK:
            turn = max(turn, self._held_until)
        return turn
