"""A task service with a scripted cloud, and a client of it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from tests.support.task import ScriptedCloud
from tests.support.task_calls import OpenService, serving_tasks


@pytest.fixture
def cloud() -> ScriptedCloud:
    return ScriptedCloud()


@pytest.fixture
async def open_service(cloud: ScriptedCloud, tmp_path: Path) -> AsyncIterator[OpenService]:
    """Starts a service on the test's one journal, with settings of the test's choice."""
    async with AsyncExitStack() as stack:

        async def open_(**settings: Any) -> TaskServiceStub:
            settings.setdefault("database", tmp_path / "tasks.sqlite3")
            return await stack.enter_async_context(serving_tasks(cloud, **settings))

        yield open_


@pytest.fixture
async def tasks(open_service: OpenService) -> TaskServiceStub:
    """A client of a service whose reconciler runs only at the start."""
    return await open_service(sweep_interval_s=3600)
