"""KeepReplica, ClaimConversation, ReleaseConversation: who continues a conversation."""

import uuid
from collections.abc import Awaitable

import pytest

from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from services.runtime.failures.reasons import Reason
from tests.support.task_calls import append, create_streaming, error_of, event


async def kept(tasks: TaskServiceStub, address: str) -> str:
    """Keep a new replica alive; return its id."""
    replica_id = str(uuid.uuid4())
    kept = await tasks.KeepReplica(pb.KeepReplicaRequest(replica_id=replica_id, address=address))
    assert kept.lease_duration.ToTimedelta().total_seconds() == 4
    return replica_id


def claim(
    tasks: TaskServiceStub, task_id: str, replica_id: str
) -> Awaitable[pb.ClaimConversationResponse]:
    """Claim a conversation."""
    request = pb.ClaimConversationRequest(task_id=task_id, replica_id=replica_id)
    return tasks.ClaimConversation(request)


async def test_the_refusal_of_a_claim_names_the_owner(tasks: TaskServiceStub) -> None:
    task = await create_streaming(tasks)
    one, other = await kept(tasks, "one:50052"), await kept(tasks, "other:50052")
    epoch = (await claim(tasks, task.task_id, one)).epoch

    refusal = await error_of(claim(tasks, task.task_id, other))

    assert refusal.reason is Reason.CONVERSATION_ELSEWHERE
    assert refusal.metadata["owner_address"] == "one:50052"
    assert 0 < (refusal.retry_after_s or 0) <= 4
    await tasks.ReleaseConversation(
        pb.ReleaseConversationRequest(task_id=task.task_id, epoch=epoch)
    )
    assert (await claim(tasks, task.task_id, other)).epoch == epoch + 1


async def test_a_stale_owner_is_told_where_the_conversation_is(tasks: TaskServiceStub) -> None:
    task = await create_streaming(tasks)
    one = await kept(tasks, "one:50052")
    stale = (await claim(tasks, task.task_id, one)).epoch
    # The replica starts again, at the same address.
    again = await kept(tasks, "one:50052")
    current = (await claim(tasks, task.task_id, again)).epoch

    refusal = await error_of(append(tasks, task.task_id, event(1), epoch=stale))

    assert refusal.reason is Reason.CONVERSATION_MOVED
    assert refusal.metadata["owner_address"] == "one:50052"
    assert (await append(tasks, task.task_id, event(1), epoch=current)).last_sequence == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda tasks: claim(tasks, "task_none", str(uuid.uuid4())),
        lambda tasks: tasks.ReleaseConversation(
            pb.ReleaseConversationRequest(task_id="task_none", epoch=1)
        ),
    ],
)
async def test_an_unknown_task_is_refused(tasks: TaskServiceStub, call: object) -> None:
    assert (await error_of(call(tasks))).reason is Reason.TASK_NOT_FOUND  # type: ignore[operator]
