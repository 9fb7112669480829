"""Running engines with a receiver of their callbacks."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from engine.app import running
from engine.serving.http import serving_http
from engine.settings import EngineSettings
from tests.support.engine_cloud import DEBUG_TOKEN, Cloud, ManualClock, Receiver

APP_ID = 1234567890
SERVER_SECRET = "0123456789abcdef0123456789abcdef"
CALLBACK_SECRET = "the-callback-secret"

OpenCloud = Callable[..., Awaitable[Cloud]]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Serve a receiver of callbacks until the block is left."""
    receiver = Receiver()
    application = Starlette(routes=[Route("/hook", receiver.take, methods=["POST"])])
    async with serving_http(application, host="127.0.0.1", port=0) as port:
        receiver.url = f"http://127.0.0.1:{port}/hook"
        yield receiver


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def open_cloud(receiver: Receiver, tmp_path: Path) -> AsyncIterator[OpenCloud]:
    """Starts engines with settings of the test's choice, until the end of its stack if any."""
    async with AsyncExitStack() as whole_test:

        async def open_(
            *,
            stack: AsyncExitStack = whole_test,
            clock: Any = None,
            speaker: Any = None,
            **settings: Any,
        ) -> Cloud:
            values = {
                "port": 0,
                "drive_port": 0,
                "app_id": APP_ID,
                "server_secret": SERVER_SECRET,
                "callback_url": receiver.url,
                "callback_secret": CALLBACK_SECRET,
                "init_delay_s": 0,
                "debug_token": DEBUG_TOKEN,
                # A busy machine may not change what a test sees.
                "max_late_share": 1,
                "recordings_dir": tmp_path,
                # Where the tests serve their files.
                "audio_networks": ["127.0.0.0/8"],
                **settings,
            }
            engine = await stack.enter_async_context(
                running(EngineSettings(**values), clock=clock, speaker=speaker)
            )
            http = await stack.enter_async_context(
                httpx.AsyncClient(base_url=engine.base_url, timeout=60)
            )
            cloud = Cloud(engine, http, receiver)
            if clock is not None:
                cloud.now = clock.time
            return cloud

        yield open_


@pytest.fixture
async def cloud(open_cloud: OpenCloud) -> Cloud:
    return await open_cloud()


@pytest.fixture
async def clock() -> ManualClock:
    return ManualClock()
