"""One account of the cloud, behind the rate limit that the avatar service keeps for it."""

import math
import random
from dataclasses import dataclass
from statistics import NormalDist

from bench.scale.simulation import Simulation
from services.avatar.vendor.actions import Action
from services.avatar.vendor.admission import Admission
from services.avatar.vendor.fair_limits import FairRateLimits
from services.avatar.vendor.limits import ProcessRateLimits, RateLimitedError
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason

CALL_S = (0.03, 0.12)
"""The shortest and the longest answer to a call. Assumed."""

_P99 = NormalDist().inv_cdf(0.99)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTime:
    """How long an avatar takes from the cloud's acceptance to being on air: log-normal."""

    median_s: float
    p99_s: float

    def draw(self, dice: random.Random) -> float:
        """Return the time of one avatar."""
        spread = math.log(self.p99_s / self.median_s) / _P99
        return dice.lognormvariate(math.log(self.median_s), spread)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Avatar:
    """An avatar that the cloud has accepted."""

    accepted_at: float
    on_air_at: float


class Account:
    """Every method is one call, raises ServiceError, and counts against its action's limit."""

    def __init__(self, simulation: Simulation, *, capacity: int, start: StartTime) -> None:
        self._simulation = simulation
        self._places = capacity
        self._start = start
        self._limits = FairRateLimits(
            ProcessRateLimits(clock=simulation.now, sleep=simulation.sleep)
        )
        self._admission = Admission(clock=simulation.now, uniform=simulation.dice.uniform)
        self._avatars: set[Avatar] = set()

    async def create(self, *, within_s: float) -> Avatar:
        """Order an avatar."""
        with self._admission.admitted():
            await self._call(Action.CREATE_STREAM_TASK, within_s)
            if len(self._avatars) >= self._places:
                raise ServiceError(Reason.AVATAR_CAPACITY_EXCEEDED, "All avatars are in use.")
        now = self._simulation.now()
        on_air_at = now + self._start.draw(self._simulation.dice)
        avatar = Avatar(accepted_at=now, on_air_at=on_air_at)
        self._avatars.add(avatar)
        return avatar

    async def look_at_one(self, *, within_s: float) -> float:
        """Ask for the status of one avatar; return when the answer was true."""
        await self._call(Action.GET_STREAM_TASK_STATUS, within_s)
        return self._simulation.now()

    async def look_at_all(self, *, within_s: float) -> float:
        """Ask for the status of all avatars; return when the answer was true."""
        await self._call(Action.QUERY_STREAM_TASKS, within_s)
        return self._simulation.now()

    async def stop(self, avatar: Avatar, *, within_s: float) -> None:
        """Take an avatar off air."""
        await self._call(Action.STOP_STREAM_TASK, within_s)
        self._avatars.discard(avatar)
        self._admission.freed()

    async def open_drive(self, *, within_s: float) -> None:
        """Open a drive for one reply."""
        await self._call(Action.DRIVE_BY_WS_STREAM, within_s)

    async def _call(self, action: Action, within_s: float) -> None:
        try:
            await self._limits.take(action, within_s=within_s)
        except RateLimitedError as error:
            raise ServiceError(
                Reason.CLOUD_RATE_LIMITED,
                "More calls of this kind wait than the cloud takes in time.",
                retry_after_s=error.retry_after_s,
            ) from error
        await self._simulation.sleep(self._simulation.dice.uniform(*CALL_S))
