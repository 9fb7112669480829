"""What the tests of this folder share on a worker: a browser, and processes to talk with."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from anyio.from_thread import BlockingPortal

from tests.support.browser import Browser
from tests.support.origins import SITE
from tests.support.recorded_voice import recorded_voice
from tests.support.stack import Stack, running_stack


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """It lives in the session's loop, so the tests of this folder run there."""
    async with Browser.launched() as launched:
        yield launched


@asynccontextmanager
async def stack_of_calls(personas: Path) -> AsyncIterator[Stack]:
    """All processes: hearing is real, and what is asked here is answered from a persona's facts."""
    async with recorded_voice() as voice:
        speech = {"SPEECH_PERSONAS": str(personas), "SPEECH_DEFAULT_PERSONA": "pia"}
        env = {"speech": speech | voice, "gateway": {"GATEWAY_ALLOWED_ORIGINS": SITE}}
        async with running_stack(env=env, variables={"PARLEY_LLM": "none"}) as up:
            yield up


@pytest.fixture(scope="package")
def stack(portal: BlockingPortal, personas: Path) -> Iterator[Stack]:
    """The processes, shared by all tests of this folder, each of which leaves them as they were."""
    with portal.wrap_async_context_manager(stack_of_calls(personas)) as started:
        yield started
