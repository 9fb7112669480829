"""Users who ask for a digital human, do what they are told when refused, and leave in the end."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from bench.scale.backend import Backend, Task
from bench.scale.simulation import Simulation
from bench.scale.visits import Visit
from gateway.contract.problems import problem_response
from services.runtime.callers.caller import acting_for, of_tenant
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import RULES, Reason

TALK_S = (60.0, 180.0)
"""The shortest and the longest conversation."""

PATIENCE_S = 180.0
"""How long a user keeps asking."""

RETRY_JITTER_S = 0.5
"""At most so much later than told does a client ask again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What a user was told instead of being served: a reason, and Retry-After if there was one."""

    reason: Reason
    retry_after_s: int | None


@dataclass(slots=True, kw_only=True)
class Experience:
    """What became of a visit; seconds since the user first asked."""

    visit: Visit
    refusals: list[Refusal] = field(default_factory=list)
    on_air_s: float | None = None
    stop_s: float | None = None


class Users:
    """Everybody who comes."""

    def __init__(self, simulation: Simulation, backend: Backend) -> None:
        self._simulation = simulation
        self._backend = backend
        self.experiences: list[Experience] = []

    async def come(self, visits: Iterable[Visit]) -> None:
        """Let each user come at their time."""
        for visit in sorted(visits, key=lambda each: each.at):
            await self._simulation.sleep(visit.at - self._simulation.now())
            experience = Experience(visit=visit)
            self.experiences.append(experience)
            with acting_for(of_tenant(visit.tenant)):
                self._simulation.begin(self._visit(experience))

    async def _visit(self, experience: Experience) -> None:
        dice = self._simulation.dice
        task = await self._ask(experience)
        if task is None:
            return
        experience.on_air_s = self._simulation.now() - experience.visit.at
        await self._simulation.sleep(dice.uniform(*TALK_S))
        experience.stop_s = await self._backend.stop(task)

    async def _ask(self, experience: Experience) -> Task | None:
        """Ask until served; return None when there is no hope, or no patience left."""
        while True:
            try:
                return await self._backend.create(experience.visit)
            except ServiceError as error:
                refusal = _as_told(error)
            experience.refusals.append(refusal)
            if refusal.retry_after_s is None or not RULES[refusal.reason].is_passing:
                return None
            pause_s = refusal.retry_after_s + self._simulation.dice.uniform(0, RETRY_JITTER_S)
            waited_s = self._simulation.now() - experience.visit.at
            if waited_s + pause_s > PATIENCE_S:
                return None
            await self._simulation.sleep(pause_s)


def _as_told(error: ServiceError) -> Refusal:
    header = problem_response(error, instance="").headers.get("Retry-After")
    return Refusal(reason=error.reason, retry_after_s=int(header) if header else None)
