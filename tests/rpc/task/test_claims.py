"""A task whose creator never learns of it ends soon, whatever happened to the caller."""

import uuid
from pathlib import Path

from google.protobuf.duration_pb2 import Duration

from digitalhuman.task.v1 import task_pb2 as pb
from tests.support.task import ManualClock, ScriptedCloud
from tests.support.task_calls import (
    OpenService,
    append,
    create_streaming,
    event,
    get,
    serving_tasks,
    until,
)


async def test_a_task_that_nobody_claims_is_stopped(open_service: OpenService) -> None:
    """Its creator lost the answer: only tasks with a claim or a conversation continue."""
    clock = ManualClock()
    tasks = await open_service(clock=clock)
    claimed, spoken, unclaimed = [
        await create_streaming(tasks, name, claim_timeout=Duration(seconds=90))
        for name in ("claimed", "spoken", "unclaimed")
    ]
    plain = await create_streaming(tasks, "plain")
    await tasks.ClaimTask(pb.ClaimTaskRequest(task_id=claimed.task_id))
    await append(tasks, spoken.task_id, event(1))
    clock.advance(91)
    ended = await until(tasks, unclaimed.task_id, pb.TASK_STATE_STOPPED)
    assert ended.stop_reason == pb.STOP_REASON_CLIENT_GONE
    for task in (claimed, spoken, plain):
        assert (await get(tasks, task.task_id)).state == pb.TASK_STATE_STREAMING


async def test_an_unclaimed_task_outlives_a_restart_no_longer(
    cloud: ScriptedCloud, tmp_path: Path
) -> None:
    clock = ManualClock()
    database = tmp_path / "tasks.sqlite3"
    async with serving_tasks(cloud, database=database, clock=clock) as tasks:
        timeout = Duration(seconds=90)
        again = pb.CreateTaskRequest(
            request_id=str(uuid.uuid4()), room_id="room", stream_id="again", claim_timeout=timeout
        )
        asked_again = await tasks.CreateTask(again)
        lost = await create_streaming(tasks, "lost", claim_timeout=timeout)
    clock.advance(60)
    async with serving_tasks(cloud, database=database, clock=clock) as tasks:
        # The time-out is no part of what is asked for.
        again.claim_timeout.seconds = 100
        await until(tasks, asked_again.task.task_id, pb.TASK_STATE_STREAMING)
        assert (await tasks.CreateTask(again)).replayed
        clock.advance(60)
        ended = await until(tasks, lost.task_id, pb.TASK_STATE_STOPPED)
        assert ended.stop_reason == pb.STOP_REASON_CLIENT_GONE
        # Who asks again has time to claim it from then on.
        task_id = asked_again.task.task_id
        assert (await get(tasks, task_id)).state == pb.TASK_STATE_STREAMING
