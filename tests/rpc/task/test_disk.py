"""The journal's file cannot be written, is damaged or goes away."""

import asyncio
import os
import sqlite3
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from digitalhuman.task.v1 import task_pb2 as pb
from parley.processes.running import Running
from services.runtime.failures.reasons import Reason
from services.task.journal.database import DatabaseError
from services.task.ports.cloud import Avatar, AvatarState
from services.task.sqlite.database import opened
from tests.support.avatar_service import scripted_avatar_service
from tests.support.task import Call, Hold, ScriptedCloud
from tests.support.task_calls import (
    FINAL,
    OpenService,
    append,
    create,
    create_streaming,
    error_of,
    event,
    get,
    stop,
    until,
)
from tests.support.task_machine import Machine

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "tasks.sqlite3"


@pytest.fixture
async def machine(cloud: ScriptedCloud, database: Path) -> AsyncIterator[Machine]:
    async with scripted_avatar_service(cloud) as (target, _):
        yield Machine(target, database)


@contextmanager
def full_disk(process: Running) -> Iterator[None]:
    """Let no file of the process grow."""
    limits = psutil.Process(process.pid)
    before = limits.rlimit(psutil.RLIMIT_FSIZE)
    limits.rlimit(psutil.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        limits.rlimit(psutil.RLIMIT_FSIZE, before)


async def until_health(machine: Machine, status: int) -> None:
    """Wait until the service reports that it can do its work, or that it cannot."""
    async with grpc.aio.insecure_channel(machine.target) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(service="digitalhuman.task.v1.TaskService")
        )
        async with asyncio.timeout(30):
            async for told in watch:
                if told.status == status:
                    break
        watch.cancel()


async def test_on_a_full_disk_calls_are_refused_and_the_cloud_is_told_to_stop(
    machine: Machine, cloud: ScriptedCloud
) -> None:
    async with machine.process() as (process, tasks):
        task = await create_streaming(tasks)
        with full_disk(process):
            for call in (create(tasks, "another"), append(tasks, task.task_id, event(1))):
                error = await error_of(call)
                assert error.reason is Reason.JOURNAL_UNAVAILABLE
                assert error.retry_after_s
            assert (await error_of(stop(tasks, task.task_id))).reason is Reason.JOURNAL_UNAVAILABLE
            assert cloud.running == {}
            # What was recorded can be read.
            assert (await get(tasks, task.task_id)).state == pb.TASK_STATE_STREAMING
            await until_health(machine, NOT_SERVING)
        await until_health(machine, SERVING)
        ended = await until(tasks, task.task_id, *FINAL)
        assert ended.state == pb.TASK_STATE_STOPPED
        await append(tasks, (await create_streaming(tasks, "another")).task_id, event(1))
    assert not any("Traceback" in line for line in process.tail)


async def test_an_avatar_that_cannot_be_recorded_does_not_run(
    machine: Machine, cloud: ScriptedCloud
) -> None:
    hold = Hold()
    cloud.scripts[Call.START].append(hold)
    async with machine.process() as (process, tasks):
        creating = asyncio.ensure_future(error_of(create(tasks)))
        await hold.reached.wait()
        with full_disk(process):
            hold.released.set()
            assert (await creating).reason is Reason.JOURNAL_UNAVAILABLE
            assert cloud.running == {}


def damage(database: Path, how: str) -> None:
    """Make a file one that cannot be used; `pages` leaves only the first page and the size."""
    size = database.stat().st_size
    match how:
        case "pages":
            with database.open("r+b") as file:
                file.seek(4096)
                file.write(b"\xa5" * (size - 4096))
        case "header":
            with database.open("r+b") as file:
                file.write(bytes(64))
        case "text":
            database.write_text("This is no database. " * 1_000)
        case "half":
            os.truncate(database, size // 2)


async def test_a_file_that_is_damaged_while_it_is_open_is_used_no_more(
    machine: Machine, cloud: ScriptedCloud, database: Path
) -> None:
    async with machine.process() as (process, tasks):
        task = await create_streaming(tasks)
        checkpoint(database)
        damage(database, "pages")
        error = await error_of(stop(tasks, task.task_id))
        assert error.reason is Reason.JOURNAL_UNAVAILABLE
        # Memory knows which avatar it is.
        assert cloud.running == {}
        await until_health(machine, NOT_SERVING)
        error = await error_of(create(tasks, "another"))
        assert error.reason is Reason.JOURNAL_UNAVAILABLE
    assert any("DAMAGED" in line for line in process.tail)
    assert not any("Traceback" in line for line in process.tail)


def checkpoint(database: Path) -> None:
    """Move what was written into the file itself."""
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


@pytest.mark.parametrize("how", ["pages", "header", "text", "half"])
async def test_a_damaged_file_is_not_opened_and_its_owner_is_told_what_to_do(
    database: Path, how: str
) -> None:
    async with opened(database, on_change=lambda _: None):
        pass
    damage(database, how)
    with pytest.raises(DatabaseError, match="parley journal check"):
        async with opened(database, on_change=lambda _: None):
            pass


@pytest.mark.parametrize("names", ["tasks.sqlite3", "tasks.sqlite3*", "."])
async def test_a_deleted_file_is_written_again(
    machine: Machine, cloud: ScriptedCloud, database: Path, names: str
) -> None:
    async with machine.process() as (process, tasks):
        task = await create_streaming(tasks)
        await append(tasks, task.task_id, event(1))
        for each in database.parent.glob(names) if names != "." else database.parent.iterdir():
            each.unlink()
        if names == ".":
            database.parent.rmdir()
        await until_exists(database)
        later = await create_streaming(tasks, "another")
        with pytest.raises(DatabaseError, match="another process"):
            async with opened(database, on_change=lambda _: None):
                pass
    assert any("DELETED" in line for line in process.tail)
    assert stat.S_IMODE(os.stat(database).st_mode) == 0o600
    async with machine.process() as (_, tasks):
        for known in (task, later):
            assert (await get(tasks, known.task_id)).state == pb.TASK_STATE_STREAMING
        found = await tasks.GetConversation(pb.GetConversationRequest(task_id=task.task_id))
        assert found.last_sequence == 1
    assert len(cloud.running) == 2


async def until_exists(database: Path) -> None:
    """Wait until there is a file again."""
    async with asyncio.timeout(30):
        while not database.exists():  # noqa: ASYNC110, ASYNC240
            await asyncio.sleep(0.01)


async def test_a_file_that_another_one_replaces_is_used_no_more(
    machine: Machine, database: Path
) -> None:
    async with machine.process() as (process, tasks):
        await create_streaming(tasks)
        other = database.with_name("other.sqlite3")
        async with opened(other, on_change=lambda _: None):
            pass
        os.replace(other, database)
        await until_health(machine, NOT_SERVING)
        assert (await error_of(create(tasks, "another"))).reason is Reason.JOURNAL_UNAVAILABLE
    assert any("REPLACED" in line for line in process.tail)


async def test_avatars_that_no_row_knows_are_stopped_if_the_account_is_ours(
    open_service: OpenService, cloud: ScriptedCloud
) -> None:
    """The journal was lost: what it would say about them is what the operator says."""
    stranger = Avatar(
        avatar_id="stranger", state=AvatarState.STREAMING, room_id="room", stream_id="lost"
    )
    cloud.put(stranger)
    tasks = await open_service(owns_account=True)
    task = await create_streaming(tasks)
    async with asyncio.timeout(30):
        while "stranger" not in cloud.stops:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert list(cloud.running) == [task.avatar_id]
