"""Owners of conversations: one replica writes, and none that was replaced."""

import pytest

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.ports.journal import Journal
from services.task.ports.replicas import Replica
from tests.support.journal import GRACE, ExpireLeases, add, event

ONE = Replica(replica_id="one", address="10.0.0.1:50052")
OTHER = Replica(replica_id="other", address="10.0.0.2:50052")


@pytest.fixture(autouse=True)
async def replicas(journal: Journal) -> None:
    for replica in (ONE, OTHER):
        await journal.replicas.keep(replica)


@pytest.fixture
async def task_id(journal: Journal) -> str:
    return (await add(journal, 1)).task_id


async def append(journal: Journal, task_id: str, *sequences: int, epoch: int | None) -> int:
    """Append events without a turn."""
    events = [event(each) for each in sequences]
    return await journal.conversations.append(task_id, events, closing_grace=GRACE, epoch=epoch)


async def test_a_conversation_has_one_owner(journal: Journal, task_id: str) -> None:
    await journal.conversations.claim(task_id, ONE.replica_id)

    with pytest.raises(ServiceError) as refusal:
        await journal.conversations.claim(task_id, OTHER.replica_id)

    assert refusal.value.reason is Reason.CONVERSATION_ELSEWHERE
    assert refusal.value.metadata["owner_address"] == ONE.address
    assert refusal.value.retry_after_s is not None


async def test_an_owner_that_claims_again_keeps_its_epoch(journal: Journal, task_id: str) -> None:
    epoch = await journal.conversations.claim(task_id, ONE.replica_id)

    assert await journal.conversations.claim(task_id, ONE.replica_id) == epoch
    assert await append(journal, task_id, 1, epoch=epoch) == 1


async def test_a_conversation_that_was_given_back_gets_a_new_epoch(
    journal: Journal, task_id: str
) -> None:
    epoch = await journal.conversations.claim(task_id, ONE.replica_id)

    await journal.conversations.release(task_id, epoch)

    assert await journal.conversations.claim(task_id, OTHER.replica_id) == epoch + 1


async def test_the_conversation_of_a_silent_replica_moves(
    journal: Journal, task_id: str, expire_leases: ExpireLeases
) -> None:
    epoch = await journal.conversations.claim(task_id, ONE.replica_id)
    await append(journal, task_id, 1, epoch=epoch)
    await expire_leases()
    await journal.replicas.keep(OTHER)
    current = await journal.conversations.claim(task_id, OTHER.replica_id)

    with pytest.raises(ServiceError) as refusal:
        await append(journal, task_id, 2, epoch=epoch)

    assert refusal.value.reason is Reason.CONVERSATION_MOVED
    assert refusal.value.metadata["owner_address"] == OTHER.address
    assert await append(journal, task_id, 2, epoch=current) == 2


async def test_a_silent_owner_that_nobody_replaced_goes_on(
    journal: Journal, task_id: str, expire_leases: ExpireLeases
) -> None:
    epoch = await journal.conversations.claim(task_id, ONE.replica_id)

    await expire_leases()

    assert await append(journal, task_id, 1, epoch=epoch) == 1


async def test_a_stale_owner_gives_nothing_back(journal: Journal, task_id: str) -> None:
    epoch = await journal.conversations.claim(task_id, ONE.replica_id)
    await journal.replicas.forget(ONE.replica_id)
    await journal.conversations.claim(task_id, OTHER.replica_id)

    await journal.conversations.release(task_id, epoch)
    await journal.replicas.keep(ONE)

    with pytest.raises(ServiceError):
        await journal.conversations.claim(task_id, ONE.replica_id)


async def test_a_replica_takes_the_place_of_an_older_one_at_its_address(
    journal: Journal, task_id: str
) -> None:
    epoch = await journal.conversations.claim(task_id, ONE.replica_id)
    started_again = Replica(replica_id="one again", address=ONE.address)

    await journal.replicas.keep(started_again)

    assert await journal.conversations.claim(task_id, started_again.replica_id) == epoch + 1


async def test_an_event_that_is_there_is_skipped(journal: Journal, task_id: str) -> None:
    await append(journal, task_id, 1, 2, epoch=None)

    assert await append(journal, task_id, 1, 2, 3, epoch=None) == 3


async def test_another_event_with_the_sequence_of_one_is_refused(
    journal: Journal, task_id: str
) -> None:
    await append(journal, task_id, 1, 2, epoch=None)
    other = event(2, payload=b"something else")

    with pytest.raises(ServiceError) as refusal:
        await journal.conversations.append(task_id, [other, event(3)], closing_grace=GRACE)

    assert refusal.value.reason is Reason.CONVERSATION_MOVED
    assert await append(journal, task_id, 3, epoch=None) == 3
