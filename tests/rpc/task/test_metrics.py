"""The metrics of tasks: how many are live, and what ended ones cost."""

import asyncio
from pathlib import Path

from digitalhuman.task.v1 import task_pb2 as pb
from tests.support.metrics import sample
from tests.support.task import ScriptedCloud
from tests.support.task_calls import create, create_streaming, serving_tasks, stop


def running() -> float:
    states = ("CREATING", "STARTING", "STREAMING", "STOPPING")
    return sum(sample("parley_tasks", state=each) or 0 for each in states)


def billed() -> float:
    return sample("parley_billable_seconds_total") or 0


async def until_running(number: int) -> None:
    """Wait until a sweep has counted so many live tasks."""
    while running() != number:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def test_live_tasks_are_counted_whoever_made_them(
    cloud: ScriptedCloud, tmp_path: Path
) -> None:
    database = tmp_path / "tasks.sqlite3"
    async with serving_tasks(cloud, database=database, sweep_interval_s=0.01) as tasks:
        await create(tasks, "stream")
        await create(tasks, "other")
        await until_running(2)
    async with serving_tasks(cloud, database=database, sweep_interval_s=0.01) as tasks:
        on_air = await create_streaming(tasks, "third")
        await until_running(3)
        await stop(tasks, on_air.task_id)
        await until_running(2)


async def test_the_seconds_of_a_task_are_billed_once(cloud: ScriptedCloud, tmp_path: Path) -> None:
    before = billed()
    async with serving_tasks(cloud, database=tmp_path / "tasks.sqlite3") as tasks:
        on_air = await create_streaming(tasks)
        stopped = await stop(tasks, on_air.task_id)
        assert stopped.state == pb.TASK_STATE_STOPPED
        assert billed() - before == stopped.usage.billable_seconds >= 1
        await stop(tasks, on_air.task_id)
        assert billed() - before == stopped.usage.billable_seconds
