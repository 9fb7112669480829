"""The wall clock is set while tasks run, or between two processes: durations stay the same."""

from pathlib import Path

import pytest

from digitalhuman.task.v1 import task_pb2 as pb
from tests.support.task import ManualClock, ScriptedCloud
from tests.support.task_calls import OpenService, create_streaming, get, serving_tasks, stop, until

HOUR_S = 3600.0


@pytest.mark.parametrize("set_by_s", [HOUR_S, -HOUR_S])
async def test_a_clock_that_is_set_ends_and_bills_nothing(
    open_service: OpenService, cloud: ScriptedCloud, set_by_s: float
) -> None:
    clock = ManualClock()
    tasks = await open_service(clock=clock)
    task = await create_streaming(tasks)
    clock.advance(100)
    clock.set(set_by_s)
    # A sweep later it is still on air.
    other = await create_streaming(tasks, "another")
    assert (await get(tasks, task.task_id)).state == pb.TASK_STATE_STREAMING
    ended = await stop(tasks, task.task_id)
    assert ended.stop_reason == pb.STOP_REASON_REQUESTED
    assert 100 <= ended.usage.billable_seconds <= 102
    assert (await stop(tasks, other.task_id)).usage.billable_seconds <= 2


@pytest.mark.parametrize("set_by_s", [HOUR_S, -HOUR_S])
async def test_a_clock_that_is_set_between_two_processes_is_noticed(
    cloud: ScriptedCloud, tmp_path: Path, set_by_s: float
) -> None:
    clock = ManualClock()
    database = tmp_path / "tasks.sqlite3"
    async with serving_tasks(cloud, database=database, clock=clock) as tasks:
        task = await create_streaming(tasks)
        clock.advance(100)
        clock.set(set_by_s)
    async with serving_tasks(cloud, database=database, clock=clock) as tasks:
        await create_streaming(tasks, "another")
        assert (await get(tasks, task.task_id)).state == pb.TASK_STATE_STREAMING
        ended = await stop(tasks, task.task_id)
    assert 100 <= ended.usage.billable_seconds <= 102
    # What is told is by the new time of day.
    assert ended.stop_time.seconds == pytest.approx(clock.wall(), abs=2)


async def test_time_that_passes_while_no_process_runs_counts(
    cloud: ScriptedCloud, tmp_path: Path
) -> None:
    clock = ManualClock()
    database = tmp_path / "tasks.sqlite3"
    async with serving_tasks(cloud, database=database, clock=clock) as tasks:
        task = await create_streaming(tasks)
    clock.advance(HOUR_S)
    async with serving_tasks(cloud, database=database, clock=clock) as tasks:
        ended = await until(tasks, task.task_id, pb.TASK_STATE_STOPPED)
    assert ended.stop_reason == pb.STOP_REASON_EXPIRED
