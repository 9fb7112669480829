"""The task service of the last release works beside the present one, on a database of this one's.

`make release` renews the archive of its code.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest

from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from parley.processes.running import Running
from services.task.postgres.database import connected
from services.task.postgres.schema import migrate
from services.task.sqlite.database import opened
from tests.support.avatar_service import scripted_avatar_service
from tests.support.task import ScriptedCloud
from tests.support.task_calls import append, create, create_streaming, event, get, stop, until
from tests.support.task_machine import Machine
from tools.released_task_service import ARCHIVE


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """The code of the last release."""
    folder = tmp_path / "released"
    with ZipFile(ARCHIVE) as archive:
        archive.extractall(folder)
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A running version of the service."""

    process: Running
    tasks: TaskServiceStub


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """Both versions, on one database that the present one has migrated."""

    old: Version
    new: Version


@pytest.fixture
async def versions(
    cloud: ScriptedCloud, postgres_url: str, released: Path
) -> AsyncIterator[Versions]:
    async with connected(postgres_url) as connection:
        await migrate(connection)
    async with AsyncExitStack() as stack:
        target, _ = await stack.enter_async_context(scripted_avatar_service(cloud))
        old = Machine(target, postgres_url, code=released)
        new = Machine(target, postgres_url)
        old_process, old_tasks = await stack.enter_async_context(old.process())
        new_process, new_tasks = await stack.enter_async_context(new.process())
        yield Versions(
            old=Version(process=old_process, tasks=old_tasks),
            new=Version(process=new_process, tasks=new_tasks),
        )


def test_the_archive_is_what_runs(released: Path) -> None:
    shown = subprocess.run(
        [sys.executable, "-P", "-c", "import services.task.app as app; print(app.__file__)"],
        env={"PYTHONPATH": str(released)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert Path(shown.stdout.strip()).is_relative_to(released)


async def test_each_version_serves_the_tasks_of_the_other(
    versions: Versions, cloud: ScriptedCloud
) -> None:
    old, new = versions.old.tasks, versions.new.tasks
    for maker, other in ((old, new), (new, old)):
        task = await create_streaming(maker)
        assert (await append(other, task.task_id, event(1))).last_sequence == 1
        watching = asyncio.ensure_future(until(maker, task.task_id, pb.TASK_STATE_STOPPED))
        await stop(other, task.task_id)
        assert (await watching).task_id == task.task_id
    assert not cloud.running


async def test_the_present_version_takes_over_from_the_last_release(
    versions: Versions, cloud: ScriptedCloud
) -> None:
    task = await create(versions.old.tasks)
    versions.old.process.kill()
    await until(versions.new.tasks, task.task_id, pb.TASK_STATE_STREAMING)
    await stop(versions.new.tasks, task.task_id)
    assert not cloud.running


async def test_the_last_release_opens_a_file_of_this_version(
    cloud: ScriptedCloud, tmp_path: Path, released: Path
) -> None:
    path = tmp_path / "tasks.sqlite3"
    async with opened(path, lambda _: None):
        pass
    async with scripted_avatar_service(cloud) as (target, _):
        async with Machine(target, path, code=released).process() as (_, tasks):
            task = await create_streaming(tasks)
        async with Machine(target, path).process() as (_, tasks):
            assert (await get(tasks, task.task_id)).state == pb.TASK_STATE_STREAMING
