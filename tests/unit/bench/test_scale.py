"""The simulation of storms: the same seed repeats it, and what the product promises holds in it."""

from statistics import median

import pytest

from bench.scale.cloud import CALL_S, Account, StartTime
from bench.scale.figures import fair_shares
from bench.scale.replies import Rhythm, reply_figures
from bench.scale.simulation import Simulation
from bench.scale.starts import Polls
from bench.scale.storms import FLOOD_AT_S, Assignment, Outcome, Storm, run
from bench.scale.visits import burst, steady
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason

SEED = 7
START = StartTime(median_s=2.5, p99_s=8.0)
CALLS_PER_S = 10 / 1.05
"""What the rate limit grants in the long run."""

GRANTED_IN_TIME = 120
"""Creates of a burst within a second that get their turn before the deadline of an order."""


def outcome(storm: Storm, *, seed: int = SEED) -> Outcome:
    return run(storm, start=START, seed=seed)


@pytest.fixture(scope="module")
def burst_of_200() -> Outcome:
    return outcome(Storm(name="burst", visits=burst(200)))


def test_the_same_seed_gives_the_same_figures(burst_of_200: Outcome) -> None:
    again = Storm(name="again", visits=burst(200))

    assert outcome(again).figures() == burst_of_200.figures()
    assert outcome(again, seed=SEED + 1).figures() != burst_of_200.figures()


def test_a_burst_is_refused_beyond_what_the_deadline_has_room_for(burst_of_200: Outcome) -> None:
    refused = [each for each in burst_of_200.experiences if each.refusals]

    assert len(refused) == 200 - GRANTED_IN_TIME
    assert {told.reason for each in refused for told in each.refusals} == {
        Reason.CLOUD_RATE_LIMITED
    }


@pytest.mark.parametrize("users", [200, 1000])
def test_whoever_comes_back_as_told_finds_room(users: int) -> None:
    found = outcome(Storm(name="burst", visits=burst(users)))

    assert all(each.on_air_s is not None for each in found.experiences)
    assert max(len(each.refusals) for each in found.experiences) == 1


@pytest.mark.parametrize(
    ("full", "reason"),
    [
        (Storm(name="tasks", visits=burst(200), max_running=100), Reason.CAPACITY_EXCEEDED),
        (Storm(name="avatars", visits=burst(200), capacity=100), Reason.AVATAR_CAPACITY_EXCEEDED),
    ],
)
def test_who_finds_no_place_asks_seldom_and_no_place_stays_free_for_long(
    full: Storm, reason: Reason
) -> None:
    found = outcome(full)

    told = [told for each in found.experiences for told in each.refusals if told.reason is reason]
    on_air = [each for each in found.experiences if each.on_air_s is not None]
    assert 100 <= len(told) < 500
    # A conversation takes a minute to three, and a user waits for three.
    assert len(on_air) > 0.9 * 200


def test_nobody_is_told_to_come_back_before_there_is_room() -> None:
    simulation = Simulation(seed=SEED)
    account = Account(simulation, capacity=1000, start=START)
    back_at: list[float] = []
    turns: list[float] = []

    async def order(*, at: float) -> None:
        await simulation.sleep(at)
        try:
            avatar = await account.create(within_s=5.0)
        except ServiceError as error:
            back_at.append(simulation.now() + (error.retry_after_s or 0.0))
        else:
            turns.append(avatar.accepted_at)

    async def crowd() -> None:
        for number in range(100):
            simulation.begin(order(at=number / 1000))
        await simulation.sleep(1.0)

    simulation.run(crowd())
    last_turn = max(turns) - CALL_S[0]
    assert len(back_at) + len(turns) == 100
    assert all(at > last_turn for at in back_at)


def test_stops_never_wait_behind_starts() -> None:
    simulation = Simulation(seed=SEED)
    account = Account(simulation, capacity=1000, start=START)
    stopped_after: list[float] = []

    async def order() -> None:
        await account.create(within_s=1000)

    async def storm() -> None:
        avatar = await account.create(within_s=1000)
        for _ in range(500):
            simulation.begin(order())
        await simulation.sleep(0.1)
        asked_at = simulation.now()
        await account.stop(avatar, within_s=5.0)
        stopped_after.append(simulation.now() - asked_at)

    simulation.run(storm())
    assert simulation.now() > 400 / CALLS_PER_S
    assert stopped_after[0] <= CALL_S[1]


def test_a_rate_below_the_limit_is_never_refused_and_one_above_it_is() -> None:
    below = outcome(Storm(name="5/s", visits=steady(5, seconds=60, seed=SEED)))
    above = outcome(Storm(name="12/s", visits=steady(12, seconds=60, seed=SEED)))

    assert not any(each.refusals for each in below.experiences)
    assert sum(bool(each.refusals) for each in above.experiences) > 0


def test_a_tenant_does_not_feel_the_flood_of_another() -> None:
    trickle = steady(1, seconds=90, seed=SEED, tenant="trickle")
    flood = burst(1000, at=FLOOD_AT_S, tenant="flood")

    shared = outcome(Storm(name="shared", visits=[*trickle, *flood]))
    apart = outcome(
        Storm(
            name="apart",
            visits=[*trickle, *flood],
            accounts=2,
            assignment=Assignment.BY_TENANT,
        )
    )

    for each in (shared, apart):
        assert not any(it.refusals for it in each.experiences if it.visit.tenant == "trickle")
        assert each.fairness() == pytest.approx(1, abs=0.05)
    assert _median_s(shared, "trickle") == pytest.approx(_median_s(apart, "trickle"), abs=0.5)


def test_four_accounts_serve_a_burst_sooner_than_one(burst_of_200: Outcome) -> None:
    four = outcome(Storm(name="four", visits=burst(200), accounts=4))

    assert not any(each.refusals for each in four.experiences)
    assert _last_on_air_s(four) < _last_on_air_s(burst_of_200)


def test_one_list_a_second_replaces_the_polls_that_the_limit_refuses(burst_of_200: Outcome) -> None:
    polled = outcome(Storm(name="polled", visits=burst(200), starts=Polls))

    assert polled.refused_looks > 0
    assert burst_of_200.refused_looks == 0


def test_one_account_carries_no_more_replies_than_its_limit() -> None:
    few = reply_figures(50, Rhythm.RANDOM, seed=SEED)
    many = reply_figures(150, Rhythm.RANDOM, seed=SEED)

    assert few["drive_opened_after_s"]["p50"] <= CALL_S[1]
    assert many["replies_per_minute"] <= 60 * CALLS_PER_S + 1
    assert many["drive_opened_after_s"]["p50"] > 1


def test_a_fair_share_is_what_was_wanted_or_an_equal_part_of_the_rest() -> None:
    shares = fair_shares({"little": 10, "much": 100, "more": 1000}, 110)

    assert shares == {"little": 10, "much": 50, "more": 50}


def _median_s(found: Outcome, tenant: str) -> float:
    waits = [each.on_air_s or 0.0 for each in found.experiences if each.visit.tenant == tenant]
    return median(waits)


def _last_on_air_s(found: Outcome) -> float:
    return max(each.on_air_s or 0.0 for each in found.experiences)
