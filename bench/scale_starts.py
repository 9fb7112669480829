"""How the task service learns that an avatar is on air: today's way, and one that scales."""

from typing import Protocol

from bench.scale_cloud import Account, Avatar
from bench.scale_simulation import Signal, Simulation
from services.runtime.errors import ServiceError
from services.task.cloud import TIMEOUT_S
from services.task.step import Pace

REPLY_S = 0.5
"""What the avatar service holds back of a deadline, so that its caller still gets the answer."""

LIST_EVERY_S = 1.0

PACE = Pace()


class Starts(Protocol):
    """Follows avatars until they are on air."""

    async def seen(self, account: Account, avatar: Avatar) -> bool:
        """Return once an avatar was seen on air, or False when that took too long."""


class Polls:
    """Asks for the status of each starting avatar, at the product's pace."""

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


class Listing:
    """Asks for all avatars of an account at once, as long as any is starting."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._next: dict[Account, Signal] = {}
        self._listed_at: dict[Account, float] = {}
        self.refused = 0

    async def seen(self, account: Account, avatar: Avatar) -> bool:
        """Return once an avatar was seen on air, or False when that took too long."""
        while not _is_late(avatar, self._simulation):
            if account not in self._next:
                self._next[account] = self._simulation.signal()
                self._simulation.begin(self._list(account))
            await self._next[account].wait()
            if self._listed_at.get(account, 0.0) >= avatar.on_air_at:
                return True
        return False

    async def _list(self, account: Account) -> None:
        await self._simulation.sleep(LIST_EVERY_S)
        try:
            self._listed_at[account] = await account.look_at_all(within_s=TIMEOUT_S - REPLY_S)
        except ServiceError:
            self.refused += 1
        self._next.pop(account).give()


def _is_late(avatar: Avatar, simulation: Simulation) -> bool:
    return simulation.now() - avatar.accepted_at >= PACE.start_timeout_s
