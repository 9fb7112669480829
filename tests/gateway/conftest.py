"""A gateway over scripted services: fresh for every test, or one for those that only ask."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.gateway_rig import RunningGateway, running_gateway


@pytest.fixture
async def gateway() -> AsyncIterator[RunningGateway]:
    async with running_gateway() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_gateway() -> AsyncIterator[RunningGateway]:
    """A gateway for those tests of a module that leave it as they found it.

    They run in the module's loop: `pytest.mark.asyncio(loop_scope="module")`.
    """
    async with running_gateway() as running:
        yield running
