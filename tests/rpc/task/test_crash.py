"""A process is killed outright: the next one completes what it had begun."""

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from digitalhuman.task.v1 import task_pb2 as pb
from parley.processes.running import Command, Running, running
from tests.support.avatar_service import scripted_avatar_service
from tests.support.compose import ROOT
from tests.support.task import Call, Hold, ScriptedCloud
from tests.support.task_calls import FINAL, create_streaming, get, until
from tests.support.task_machine import Machine


@pytest.fixture
async def machine(cloud: ScriptedCloud, tmp_path: Path) -> AsyncIterator[Machine]:
    async with scripted_avatar_service(cloud) as (target, _):
        yield Machine(target, tmp_path / "deep" / "tasks.sqlite3")


async def kill_at(hold: Hold, process: Running, call: "grpc.aio.Call") -> None:
    """Kill the service when its call has reached the cloud, before its caller learns anything."""
    await hold.reached.wait()
    process.kill()
    await process.wait()
    call.cancel()


@pytest.mark.parametrize("is_done", [False, True])
@pytest.mark.parametrize("request_id", ["", "0b0e7f9e-6a52-4a6f-9d4c-0d9a2c5a3f10"])
async def test_killed_between_the_row_and_the_answer(
    machine: Machine, cloud: ScriptedCloud, request_id: str, is_done: bool
) -> None:
    request = pb.CreateTaskRequest(room_id="room", stream_id="stream", request_id=request_id)
    hold = Hold()
    cloud.scripts[Call.START].append(hold)
    async with machine.process() as (process, tasks):
        await kill_at(hold, process, tasks.CreateTask(request))
    if is_done:
        await cloud.start_avatar(cloud.orders[0])
    async with machine.process() as (_, tasks):
        [task] = (await tasks.ListTasks(pb.ListTasksRequest())).tasks
        if not is_done:
            assert task.state == pb.TASK_STATE_CREATING
        elif request_id:
            answer = await tasks.CreateTask(request)
            assert (answer.replayed, answer.task.task_id) == (True, task.task_id)
            await until(tasks, task.task_id, pb.TASK_STATE_STREAMING)
            assert list(cloud.running) == [answer.task.avatar_id]
        else:
            ended = await until(tasks, task.task_id, *FINAL)
            assert ended.stop_reason == pb.STOP_REASON_RECONCILED
    assert bool(cloud.running) == (is_done and bool(request_id))


@pytest.mark.parametrize("is_done", [False, True])
async def test_killed_between_the_stop_and_its_answer(
    machine: Machine, cloud: ScriptedCloud, is_done: bool
) -> None:
    hold = Hold()
    async with machine.process() as (process, tasks):
        task = await create_streaming(tasks)
        cloud.scripts[Call.STOP].append(hold)
        await kill_at(hold, process, tasks.StopTask(pb.StopTaskRequest(task_id=task.task_id)))
    if is_done:
        await cloud.stop_avatar(task.avatar_id)
    async with machine.process() as (_, tasks):
        ended = await until(tasks, task.task_id, *FINAL)
        assert ended.state == pb.TASK_STATE_STOPPED
        assert ended.stop_reason == pb.STOP_REASON_REQUESTED
    assert cloud.running == {}


async def test_killed_while_on_air_nothing_is_lost(machine: Machine, cloud: ScriptedCloud) -> None:
    async with machine.process() as (process, tasks):
        task = await create_streaming(tasks)
        process.kill()
        await process.wait()
    async with machine.process() as (_, tasks):
        found = await get(tasks, task.task_id)
        assert found.usage.start_time == task.usage.start_time
        for each in (found, task):
            each.ClearField("usage")
        assert found == task
    assert list(cloud.running) == [task.avatar_id]


async def test_it_ends_cleanly_when_asked(machine: Machine) -> None:
    async with machine.process() as (process, tasks):
        task = await create_streaming(tasks)
        watch = tasks.WatchTask(pb.WatchTaskRequest(task_id=task.task_id))
        assert await watch.read()
        assert await process.stop(grace_s=10) == 0
        with pytest.raises(grpc.aio.AioRpcError):
            await watch.read()


@pytest.mark.parametrize(
    ("variables", "exit_code", "said"),
    [
        ({"TASK_PORT": "many"}, 2, ["TASK_PORT: "]),
        ({"TASK_PORT": "-1", "TASK_MAX_RUNNING": "0"}, 2, ["TASK_PORT: ", "TASK_MAX_RUNNING: "]),
        ({"TASK_DATABASE": "/proc/nowhere/tasks.sqlite3"}, 1, ["task: /proc/nowhere"]),
    ],
)
async def test_wrong_settings_are_told_plainly(
    variables: dict[str, str], exit_code: int, said: list[str]
) -> None:
    command = Command(
        name="task",
        words=(sys.executable, "-m", "services.task"),
        environment={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "gen")]),
            **variables,
        },
    )
    async with running(command, on_line=lambda *_: None, grace_s=10) as process:
        assert await process.wait() == exit_code
    assert all(any(line.startswith(start) for line in process.tail) for start in said)
    assert not any("Traceback" in line for line in process.tail)
