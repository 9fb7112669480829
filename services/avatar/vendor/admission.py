"""Which creates are sent to the cloud, and when refused ones should be tried again."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.avatar.vendor.limits import CALLS, WINDOW_S
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.runtime.failures.retry import RetrySchedule

PROBE_S = 2.0
"""How often a create is tried while the account is full."""

PLACES_APART_S = 0.5
LONGEST_PLACE_S = 60.0
"""Callers whom a full account refused come back so far apart, and at the latest then."""

TURNS_APART_S = WINDOW_S / CALLS
LONGEST_TURN_S = 120.0
"""Callers for whom the rate limit has no turn come back so far apart, and at the latest then."""


class Admission:
    """Holds creates back while the account has no place, as each would take a turn of the limit.

    How many avatars it may have the cloud shows by refusing only: it is full from then until a
    create succeeds, or is refused for another reason. One is tried every PROBE_S, for avatars that
    end by themselves, and one whenever an avatar was stopped.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._clock = clock
        self._places = RetrySchedule(
            apart_s=PLACES_APART_S, longest_s=LONGEST_PLACE_S, clock=clock, uniform=uniform
        )
        self._turns = RetrySchedule(
            apart_s=TURNS_APART_S, longest_s=LONGEST_TURN_S, clock=clock, uniform=uniform
        )
        self._probe_at: float | None = None
        """When the next create may be tried; None: the account is not known to be full."""

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Order an avatar in the block.

        Raises ServiceError with AVATAR_CAPACITY_EXCEEDED while the account is full; every refusal
        of the block says when to try again.
        """
        self._admit()
        try:
            yield
        except ServiceError as error:
            match error.reason:
                case Reason.AVATAR_CAPACITY_EXCEEDED:
                    self._probe_at = self._clock() + PROBE_S
                    error.retry_after_s = self._places.next_s(soonest_s=PROBE_S)
                case Reason.CLOUD_RATE_LIMITED:
                    soonest_s = error.retry_after_s or 0.0
                    error.retry_after_s = self._turns.next_s(soonest_s=soonest_s)
                case Reason.CLOUD_BUSY | Reason.CLOUD_NO_CAPACITY:
                    self._probe_at = None
                    error.retry_after_s = self._places.next_s(soonest_s=PROBE_S)
                case Reason.CLOUD_UNREACHABLE:
                    pass  # It says nothing about places.
                case _:
                    # Whatever else is wrong must not look like a full account to the next caller.
                    self._probe_at = None
            raise
        self._probe_at = None

    def freed(self) -> None:
        """Let the next create be tried, as an avatar has ended."""
        if self._probe_at is not None:
            self._probe_at = self._clock()

    def _admit(self) -> None:
        if self._probe_at is None:
            return
        now = self._clock()
        if now < self._probe_at:
            raise ServiceError(
                Reason.AVATAR_CAPACITY_EXCEEDED,
                "As many avatars are on air as the account allows.",
                retry_after_s=self._places.next_s(soonest_s=PROBE_S),
            )
        self._probe_at = now + PROBE_S
