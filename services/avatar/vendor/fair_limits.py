"""The cloud's rate limit, shared fairly: tenants take turns, however much one of them asks for."""

import asyncio
from collections import defaultdict

from services.avatar.vendor.actions import Action
from services.avatar.vendor.limits import CALLS, WINDOW_S, RateLimitedError, RateLimits, Turn
from services.runtime.callers.caller import current_caller
from services.runtime.queues.fair_slots import FairSlots


class FairRateLimits:
    """Lets the callers of this process ask for turns one by one, tenant by tenant.

    A turn, once granted, cannot be given to another tenant: so only one is asked for at a time, and
    whoever else wants one waits here. Among replicas turns are granted in order of arrival.
    """

    def __init__(
        self, limits: RateLimits, *, calls: int = CALLS, window_s: float = WINDOW_S
    ) -> None:
        self._limits = limits
        self._calls = calls
        self._window_s = window_s
        self._asking: defaultdict[Action, FairSlots] = defaultdict(lambda: FairSlots(1))

    async def take(self, action: Action, *, within_s: float) -> Turn:
        """Wait for the action's turn and return it."""
        asking = self._asking[action]
        tenant_id = current_caller().tenant_id
        soonest_s = asking.ahead_of(tenant_id) // self._calls * self._window_s
        if soonest_s > max(0.0, within_s):
            raise RateLimitedError(retry_after_s=soonest_s)
        now = asyncio.get_running_loop().time
        deadline = now() + within_s
        try:
            async with asyncio.timeout_at(deadline) as waiting, asking.place(tenant_id):
                waiting.reschedule(None)
                return await self._limits.take(action, within_s=deadline - now())
        except TimeoutError:
            raise RateLimitedError(retry_after_s=max(soonest_s, self._window_s)) from None

    async def hold(self, pause_s: float) -> None:
        """Hold back every action but stops for a while."""
        await self._limits.hold(pause_s)
