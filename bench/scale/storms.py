"""Storms of creates against the cloud's limit of ten calls a second and action."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import cycle

from bench.scale.backend import Backend
from bench.scale.cloud import Account, StartTime
from bench.scale.figures import Figures, fairness, storm_figures
from bench.scale.simulation import Simulation
from bench.scale.starts import Polls, SharedLists, Starts
from bench.scale.users import Experience, Users
from bench.scale.visits import Visit, burst, steady, through_one_address

AMPLE = 100_000
STEADY_S = 180.0
FLOOD_AT_S = 30.0
FLOOD_S = 30.0
"""The period after the beginning of a flood in which fairness is measured."""


class Assignment(StrEnum):
    """Which account of the cloud a task gets."""

    IN_TURN = "in turn"
    BY_TENANT = "by tenant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """Who comes, and what there is for them; the product as it is, unless said otherwise."""

    name: str
    visits: Sequence[Visit]
    accounts: int = 1
    assignment: Assignment = Assignment.IN_TURN
    capacity: int = AMPLE
    """Avatars that an account may have on air at once."""
    max_running: int = AMPLE
    starts: Callable[[Simulation], Starts] = SharedLists


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of everybody, and how often a look at a starting avatar was refused."""

    experiences: Sequence[Experience]
    refused_looks: int

    def figures(self) -> Figures:
        """Return the figures."""
        figures = storm_figures(self.experiences) | {"refused_looks": self.refused_looks}
        if "tenants" in figures:
            figures["fairness"] = round(self.fairness(), 3)
        return figures

    def fairness(self) -> float:
        """Return how fairly the tenants were served during a flood."""
        return fairness(self.experiences, since=FLOOD_AT_S, until=FLOOD_AT_S + FLOOD_S)


def run(storm: Storm, *, start: StartTime, seed: int) -> Outcome:
    """Return what becomes of everybody."""
    simulation = Simulation(seed=seed)
    accounts = [
        Account(simulation, capacity=storm.capacity, start=start) for _ in range(storm.accounts)
    ]
    starts = storm.starts(simulation)
    backend = Backend(
        simulation,
        account_of=_chooser(storm.assignment, accounts),
        starts=starts,
        max_running=storm.max_running,
    )
    users = Users(simulation, backend)
    simulation.run(users.come(storm.visits))
    return Outcome(experiences=users.experiences, refused_looks=starts.refused)


def storms(*, seed: int) -> Sequence[Storm]:
    """Return all storms."""

    def at_rate(per_second: float, tenant: str = "one") -> Sequence[Visit]:
        return steady(per_second, seconds=STEADY_S, seed=seed, tenant=tenant)

    trickle = at_rate(1, "trickle")
    flood = burst(1000, at=FLOOD_AT_S, tenant="flood")
    both = [*trickle, *flood]
    one_address = [*trickle, *through_one_address(flood)]
    return [
        *(Storm(name=f"burst of {count}", visits=burst(count)) for count in (50, 200, 1000)),
        *(Storm(name=f"steady {rate}/s", visits=at_rate(rate)) for rate in (5, 8, 12)),
        Storm(name="two tenants, one floods", visits=both),
        Storm(name="two tenants, one floods from one address", visits=one_address),
        Storm(
            name="two tenants, one floods, an account each",
            visits=both,
            accounts=2,
            assignment=Assignment.BY_TENANT,
        ),
        Storm(name="burst of 1000, 4 accounts", visits=burst(1000), accounts=4),
        Storm(name="steady 12/s, 4 accounts", visits=at_rate(12), accounts=4),
        Storm(name="burst of 200, 100 tasks allowed", visits=burst(200), max_running=100),
        Storm(name="burst of 200, 100 avatars in the contract", visits=burst(200), capacity=100),
        Storm(name="each avatar asked for: burst of 200", visits=burst(200), starts=Polls),
        Storm(name="each avatar asked for: steady 8/s", visits=at_rate(8), starts=Polls),
        Storm(name="each avatar asked for: steady 12/s", visits=at_rate(12), starts=Polls),
    ]


def _chooser(assignment: Assignment, accounts: Sequence[Account]) -> Callable[[Visit], Account]:
    turns = cycle(accounts)
    of_tenants: defaultdict[str, Account] = defaultdict(lambda: next(turns))
    match assignment:
        case Assignment.IN_TURN:
            return lambda visit: next(turns)
        case Assignment.BY_TENANT:
            return lambda visit: of_tenants[visit.tenant]
