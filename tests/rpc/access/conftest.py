"""A task service, whose access contract is called for different tenants."""

from collections.abc import AsyncIterator

import pytest

from digitalhuman.access.v1.access_pb2_grpc import AccessServiceStub
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from services.runtime.channels.channel import connected
from tests.support.task import ManualClock, task_service


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["sqlite", "postgres"])
async def address(request: pytest.FixtureRequest, clock: ManualClock) -> AsyncIterator[str]:
    """Where a task service listens, on each database."""
    database = request.getfixturevalue("journal_url") if request.param == "postgres" else None
    async with task_service(database=database, clock=clock, sweep_interval_s=3600) as address:
        yield address


@pytest.fixture
async def access(address: str) -> AsyncIterator[AccessServiceStub]:
    async with connected(address) as channel:
        yield AccessServiceStub(channel)


@pytest.fixture
async def tasks(address: str) -> AsyncIterator[TaskServiceStub]:
    async with connected(address) as channel:
        yield TaskServiceStub(channel)
