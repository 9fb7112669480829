"""The cloud's rate limit, enforced on our side: so many calls per second and action."""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from services.avatar.vendor.actions import Action

CALLS = 10
WINDOW_S = 1.05
"""Longer than a second: evenly spaced calls may arrive closer together."""


class RateLimitedError(Exception):
    """A call's turn would come only after its deadline, in `retry_after_s`."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("the rate limit leaves no room before the deadline")
        self.retry_after_s = retry_after_s


class Turn(Protocol):
    """A call's turn, which has come."""

    @property
    def at(self) -> float:
        """When it came, in seconds of the clock that all turns of an action have in common."""

    async def refund(self) -> None:
        """Give the turn of a call back that never reached the cloud; never fails."""


class RateLimits(Protocol):
    """Grants calls of one action, at most `CALLS` within any `WINDOW_S`.

    All callers that use the same account share one instance, or the same database.

    Each action has its own allowance, so a stop never queues behind other work. The cloud does not
    say whether it counts by action or by account: if it refuses a call anyway (`hold`), every
    action but stops waits.
    """

    async def take(self, action: Action, *, within_s: float) -> Turn:
        """Wait for the action's turn, at most `within_s`, and return it.

        Raises RateLimitedError immediately if the turn would come too late.
        """

    async def hold(self, pause_s: float) -> None:
        """Hold back every action but stops for a while, after the cloud refused a call.

        Never fails.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessTurn:
    """A turn that this process has granted."""

    at: float
    grants: deque[float]

    async def refund(self) -> None:
        """Give it back, unless so many have followed that it no longer counts."""
        with suppress(ValueError):
            self.grants.remove(self.at)


class ProcessRateLimits:
    """The limits of all callers in this process.

    Where `sharers` processes use the account without knowing of each other's calls, each grants its
    share, but stops without regard to the others: one too many is refused and repeated, one too few
    costs money.
    """

    def __init__(
        self,
        *,
        calls: int = CALLS,
        window_s: float = WINDOW_S,
        sharers: Callable[[], int] = lambda: 1,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._calls = calls
        self._window_s = window_s
        self._sharers = sharers
        self._clock = clock
        self._sleep = sleep
        self._held_until = float("-inf")
        self._grants: defaultdict[Action, deque[float]] = defaultdict(lambda: deque(maxlen=calls))

    async def take(self, action: Action, *, within_s: float) -> ProcessTurn:
        """Wait for the action's turn and return it."""
        now = self._clock()
        turn = self._next_turn(action, now)
        if turn > now and turn - now > within_s:
            raise RateLimitedError(retry_after_s=turn - now)
        grants = self._grants[action]
        grants.append(turn)
        if turn > now:
            await self._sleep(turn - now)
        return ProcessTurn(at=turn, grants=grants)

    async def hold(self, pause_s: float) -> None:
        """Hold back every action but stops for a while."""
        self._held_until = max(self._held_until, self._clock() + pause_s)

    def _next_turn(self, action: Action, now: float) -> float:
        is_stop = action is Action.STOP_STREAM_TASK
        grants = self._grants[action]
        allowed = self._calls if is_stop else max(1, self._calls // self._sharers())
        turn = now
        if len(grants) >= allowed:
            turn = max(turn, grants[-allowed] + self._window_s)
        return turn if is_stop else max(turn, self._held_until)
