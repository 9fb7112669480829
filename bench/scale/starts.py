"""How the task service learns that an avatar is on air: as it does, and by asking for each."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Protocol

from bench.scale.cloud import Account, Avatar
from bench.scale.simulation import Signal, Simulation
from services.runtime.failures.errors import ServiceError
from services.task.cloud import TIMEOUT_S
from services.task.lifecycle.starts import FRESH_S
from services.task.lifecycle.step import Pace

REPLY_S = 0.5
"""What the avatar service holds back of a deadline, so that its caller still gets the answer."""

PACE = Pace()


class Starts(Protocol):
    """Follows avatars until they are on air."""

    refused: int
    """How many looks had no answer."""

    async def seen(self, account: Account, avatar: Avatar) -> bool:
        """Return once an avatar was seen on air, or False when that took too long."""


class Polls:
    """Asks for the status of each starting avatar, at the product's pace for one that is alone."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self.refused = 0

    async def seen(self, account: Account, avatar: Avatar) -> bool:
        """Return once an avatar was seen on air, or False when that took too long."""
        pause_s = PACE.poll_s
        while True:
            await self._simulation.sleep(pause_s)
            pause_s = min(2 * pause_s, PACE.slowest_poll_s)
            try:
                if await account.look_at_one(within_s=TIMEOUT_S - REPLY_S) >= avatar.on_air_at:
                    return True
            except ServiceError:
                self.refused += 1
            if _is_late(avatar, self._simulation):
                return False


@dataclass(slots=True, kw_only=True)
class _Lists:
    """The lists of one account; the last one was true at `true_at`, or failed if that is None."""

    began_at: float = float("-inf")
    true_at: float | None = None
    ended: Signal | None = None
    """While a list is under way."""


class SharedLists:
    """Asks for an avatar that is alone, and lists for all when several start, as the product."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._watched: Counter[Account] = Counter()
        self._lists: defaultdict[Account, _Lists] = defaultdict(_Lists)
        self.refused = 0

    async def seen(self, account: Account, avatar: Avatar) -> bool:
        """Return once an avatar was seen on air, or False when that took too long."""
        self._watched[account] += 1
        is_seen = await self._watch(account, avatar)
        self._watched[account] -= 1
        return is_seen

    async def _watch(self, account: Account, avatar: Avatar) -> bool:
        alone_s = PACE.poll_s
        while True:
            await self._simulation.sleep(self._pause_s(account, alone_s))
            alone_s = min(2 * alone_s, PACE.slowest_poll_s)
            try:
                if await self._look(account) >= avatar.on_air_at:
                    return True
            except ServiceError:
                self.refused += 1
            if _is_late(avatar, self._simulation):
                return False

    def _pause_s(self, account: Account, alone_s: float) -> float:
        if self._watched[account] <= 1:
            return alone_s
        return max(PACE.poll_s, self._next_list_s(self._lists[account]))

    async def _look(self, account: Account) -> float:
        if self._watched[account] > 1:
            true_at = await self._listed(account)
            return float("-inf") if true_at is None else true_at
        return await account.look_at_one(within_s=TIMEOUT_S - REPLY_S)

    async def _listed(self, account: Account) -> float | None:
        lists = self._lists[account]
        asked_at = self._simulation.now()
        while lists.ended is not None or lists.began_at < asked_at - FRESH_S:
            if lists.ended is None:
                await self._list(account, lists)
            else:
                await lists.ended.wait()
        return lists.true_at

    async def _list(self, account: Account, lists: _Lists) -> None:
        ended = lists.ended = self._simulation.signal()
        await self._simulation.sleep(self._next_list_s(lists))
        lists.began_at = self._simulation.now()
        try:
            lists.true_at = await account.look_at_all(within_s=TIMEOUT_S - REPLY_S)
        except ServiceError:
            self.refused += 1
            lists.true_at = None
        lists.ended = None
        ended.give()

    def _next_list_s(self, lists: _Lists) -> float:
        return max(0.0, lists.began_at + PACE.list_s - self._simulation.now())


def _is_late(avatar: Avatar, simulation: Simulation) -> bool:
    return simulation.now() - avatar.accepted_at >= PACE.start_timeout_s
