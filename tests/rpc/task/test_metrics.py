"""The metrics of tasks: how many are live, and what ended ones cost."""

from pathlib import Path

from prometheus_client import REGISTRY

from digitalhuman.task.v1 import task_pb2 as pb
from tests.support.task import ScriptedCloud
from tests.support.task_calls import create, create_streaming, serving_tasks, stop


def running(state: str) -> float:
    return REGISTRY.get_sample_value("parley_tasks", {"state": state}) or 0


def billed() -> float:
    return REGISTRY.get_sample_value("parley_billable_seconds_total") or 0


async def test_tasks_are_counted_by_state_until_they_are_over(
    cloud: ScriptedCloud, tmp_path: Path
) -> None:
    settings = {"database": tmp_path / "tasks.sqlite3", "sweep_interval_s": 3600}
    billed_before = billed()
    async with serving_tasks(cloud, **settings) as tasks:
        on_air = await create_streaming(tasks)
        await create(tasks, "other")
        assert running("STREAMING") >= 1
        assert running("STREAMING") + running("STARTING") == 2
    # A process that comes after this one counts what it finds.
    async with serving_tasks(cloud, **settings) as tasks:
        assert running("STREAMING") + running("STARTING") == 2
        stopped = await stop(tasks, on_air.task_id)
        assert stopped.state == pb.TASK_STATE_STOPPED
        assert running("STREAMING") + running("STARTING") == 1
        assert billed() - billed_before == stopped.usage.billable_seconds >= 1
        await stop(tasks, on_air.task_id)
        assert billed() - billed_before == stopped.usage.billable_seconds
