"""A gateway over scripted services, fresh for every test."""

from collections.abc import AsyncIterator

import pytest

from tests.support.gateway_rig import RunningGateway, running_gateway


@pytest.fixture
async def gateway() -> AsyncIterator[RunningGateway]:
    async with running_gateway() as running:
        yield running
