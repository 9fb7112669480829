"""Leases: who may take a task's steps, and who has a duty; replicas that die lose both."""

from functools import partial

import pytest

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.tasks import TaskState, accepted
from services.task.ports.journal import Journal
from services.task.ports.leases import Lease, StaleLeaseError, first_lease
from services.task.ports.replicas import Replica
from tests.support.journal import NOW, UNLIMITED, ExpireLeases, add, task

ONE = Replica(replica_id="one", address="")
OTHER = Replica(replica_id="other", address="")
accept = partial(accepted, avatar_id="avatar", digital_human_id="mia", at=NOW)


@pytest.fixture(autouse=True)
async def replicas(journal: Journal) -> None:
    for replica in (ONE, OTHER):
        await journal.replicas.keep(replica)


async def taken(journal: Journal, task_id: str, replica: Replica) -> Lease:
    """Take a lease that is free."""
    lease = await journal.leases.take(task_id, replica.replica_id)
    assert lease is not None
    return lease


async def test_a_lease_is_held_by_one_replica(journal: Journal) -> None:
    first = await add(journal, 1)

    await taken(journal, first.task_id, ONE)

    assert await journal.leases.take(first.task_id, OTHER.replica_id) is None


async def test_a_released_lease_is_free_under_a_higher_fence(journal: Journal) -> None:
    first = await add(journal, 1)
    lease = await taken(journal, first.task_id, ONE)

    await journal.leases.release(lease)

    assert (await taken(journal, first.task_id, OTHER)).fence > lease.fence


async def test_a_replica_takes_its_own_lease_again(journal: Journal) -> None:
    first = await add(journal, 1)
    lease = await taken(journal, first.task_id, ONE)

    assert (await taken(journal, first.task_id, ONE)).fence > lease.fence


async def test_a_new_task_is_leased_to_the_replica_that_records_it(journal: Journal) -> None:
    first = task(1)
    await journal.tasks.add(first, None, UNLIMITED, replica_id=ONE.replica_id)

    assert await journal.leases.take(first.task_id, OTHER.replica_id) is None
    _, after = await journal.tasks.change(first.task_id, accept, lease=first_lease(first))
    assert after.state is TaskState.STARTING


async def test_the_lease_of_a_silent_replica_is_free(
    journal: Journal, expire_leases: ExpireLeases
) -> None:
    first = await add(journal, 1)
    await taken(journal, first.task_id, ONE)

    await expire_leases()
    await journal.replicas.keep(OTHER)

    await taken(journal, first.task_id, OTHER)


async def test_a_replica_that_ends_frees_its_leases(journal: Journal) -> None:
    first = await add(journal, 1)
    await taken(journal, first.task_id, ONE)

    await journal.replicas.forget(ONE.replica_id)

    await taken(journal, first.task_id, OTHER)


async def test_a_replica_that_was_paused_writes_nothing(
    journal: Journal, expire_leases: ExpireLeases
) -> None:
    first = await add(journal, 1)
    stale = await taken(journal, first.task_id, ONE)
    await expire_leases()
    await journal.replicas.keep(OTHER)
    await taken(journal, first.task_id, OTHER)

    with pytest.raises(StaleLeaseError):
        await journal.tasks.change(first.task_id, accept, lease=stale)

    assert await journal.tasks.get(first.task_id) == first


async def test_a_stale_lease_is_not_given_back(journal: Journal) -> None:
    first = await add(journal, 1)
    stale = await taken(journal, first.task_id, ONE)
    await journal.replicas.forget(ONE.replica_id)
    await taken(journal, first.task_id, OTHER)

    await journal.leases.release(stale)
    await journal.replicas.keep(ONE)

    assert await journal.leases.take(first.task_id, ONE.replica_id) is None


async def test_no_lease_of_an_unknown_task(journal: Journal) -> None:
    with pytest.raises(ServiceError) as refusal:
        await journal.leases.take("task_none", ONE.replica_id)

    assert refusal.value.reason is Reason.TASK_NOT_FOUND


async def test_due_tasks_are_taken_once(journal: Journal) -> None:
    tasks = [await add(journal, number) for number in range(5)]
    await journal.leases.mark_due([each.task_id for each in tasks[:4]])

    of_one = await journal.leases.take_due(ONE.replica_id, limit=3, busy=())
    of_other = await journal.leases.take_due(OTHER.replica_id, limit=3, busy=())

    assert (len(of_one), len(of_other)) == (3, 1)
    assert {each.task_id for each in (*of_one, *of_other)} == {each.task_id for each in tasks[:4]}
    assert not await journal.leases.take_due(ONE.replica_id, limit=3, busy=())


async def test_due_tasks_that_are_held_are_left_alone(journal: Journal) -> None:
    held, busy, free = [await add(journal, number) for number in range(3)]
    await journal.leases.mark_due([held.task_id, busy.task_id, free.task_id])
    # Taking a lease is looking at the task.
    await taken(journal, held.task_id, OTHER)
    await taken(journal, busy.task_id, ONE)
    await journal.leases.mark_due([held.task_id, busy.task_id])

    due = await journal.leases.take_due(ONE.replica_id, limit=3, busy={busy.task_id})

    assert [each.task_id for each in due] == [free.task_id]


async def test_a_duty_is_one_replicas_until_that_is_silent(
    journal: Journal, expire_leases: ExpireLeases
) -> None:
    assert await journal.replicas.lead("sweep", ONE.replica_id)
    assert not await journal.replicas.lead("sweep", OTHER.replica_id)
    assert await journal.replicas.lead("prune", OTHER.replica_id)
    assert await journal.replicas.lead("sweep", ONE.replica_id)

    await expire_leases()
    await journal.replicas.keep(OTHER)

    assert await journal.replicas.lead("sweep", OTHER.replica_id)
    await journal.replicas.keep(ONE)
    assert not await journal.replicas.lead("sweep", ONE.replica_id)
