"""Replies against the cloud's limit of ten new drives a second: one account's conversations."""

from enum import StrEnum

from bench.scale.cloud import Account, StartTime
from bench.scale.figures import Figures, spread
from bench.scale.simulation import Simulation
from services.runtime.failures.errors import ServiceError

OPEN_S = 5.0
"""How long the avatar service tries to open a drive."""

CYCLE_S = 12.0
"""From one turn of a conversation to its next: 3 s of question, 7 s of reply, 2 s in between."""

WARM_UP_S = 60.0
MEASURED_S = 600.0


class Rhythm(StrEnum):
    """How the turns of different conversations lie to each other."""

    SPREAD = "spread evenly"
    RANDOM = "at random"
    AT_ONCE = "all at once"


class Conversations:
    """Conversations of one account; each asks again when its reply is over."""

    def __init__(self, simulation: Simulation, account: Account) -> None:
        self._simulation = simulation
        self._account = account
        self.waits: list[float] = []
        self.refused = 0

    async def begin(self, count: int, rhythm: Rhythm) -> None:
        """Begin all of them."""
        for number in range(count):
            after_s = 0.0 if rhythm is Rhythm.AT_ONCE else CYCLE_S * number / count
            self._simulation.begin(self._talk(after_s, rhythm))

    async def _talk(self, after_s: float, rhythm: Rhythm) -> None:
        due = after_s
        while due < WARM_UP_S + MEASURED_S:
            await self._simulation.sleep(max(0.0, due - self._simulation.now()))
            await self._reply()
            due = self._next(due, rhythm)

    def _next(self, due: float, rhythm: Rhythm) -> float:
        if rhythm is Rhythm.RANDOM:
            # Never before the reply is over.
            now = self._simulation.now()
            return now + CYCLE_S / 2 + self._simulation.dice.expovariate(2 / CYCLE_S)
        return due + CYCLE_S

    async def _reply(self) -> None:
        asked_at = self._simulation.now()
        try:
            await self._account.open_drive(within_s=OPEN_S)
        except ServiceError:
            self.refused += asked_at >= WARM_UP_S
            return
        if asked_at >= WARM_UP_S:
            self.waits.append(self._simulation.now() - asked_at)


def reply_figures(count: int, rhythm: Rhythm, *, seed: int) -> Figures:
    """Return how long the conversations of one account wait for their drives."""
    simulation = Simulation(seed=seed)
    # They are on air already.
    account = Account(simulation, capacity=0, start=StartTime(median_s=1, p99_s=1))
    conversations = Conversations(simulation, account)
    simulation.run(conversations.begin(count, rhythm))
    asked = len(conversations.waits) + conversations.refused
    return {
        "conversations": count,
        "rhythm": rhythm.value,
        "replies_per_minute": round(60 * len(conversations.waits) / MEASURED_S),
        "drive_opened_after_s": spread(conversations.waits),
        "refused_share": round(conversations.refused / asked, 3),
    }
