"""Rigs of an avatar service and an engine, whose callbacks it gets."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from engine.app import running as running_engine
from engine.serving.http import serving_http
from engine.settings import EngineSettings
from engine.sources.speaker import Speaker
from services.avatar.app import running as running_avatar
from services.avatar.settings import AvatarSettings
from services.runtime.channels.channel import connected
from tests.support.avatar_rig import APP_ID, CALLBACK_SECRET, SERVER_SECRET, OpenRig, Relay, Rig
from tests.support.engine_cloud import DEBUG_TOKEN


@pytest.fixture
async def open_rig(tmp_path: Path) -> AsyncIterator[OpenRig]:
    """Starts a rig with settings of the test's choice; callbacks are relayed unless told not to."""
    async with AsyncExitStack() as stack:
        relay = Relay()
        application = Starlette(routes=[Route("/hook", relay.take, methods=["POST"])])
        hook_port = await stack.enter_async_context(
            serving_http(application, host="127.0.0.1", port=0)
        )

        async def open_(
            *,
            relays: bool = True,
            engine: dict[str, Any] | None = None,
            speaker: Speaker | None = None,
            **settings: Any,
        ) -> Rig:
            engine_settings = {
                "port": 0,
                "drive_port": 0,
                "app_id": APP_ID,
                "server_secret": SERVER_SECRET,
                "callback_url": f"http://127.0.0.1:{hook_port}/hook" if relays else None,
                "callback_secret": CALLBACK_SECRET,
                "init_delay_s": 0,
                "debug_token": DEBUG_TOKEN,
                "max_late_share": 1,
                "recordings_dir": tmp_path,
                **(engine or {}),
            }
            running = await stack.enter_async_context(
                running_engine(EngineSettings(**engine_settings), speaker=speaker)
            )
            values = {
                "port": 0,
                "engine_app_id": APP_ID,
                "engine_server_secret": SERVER_SECRET,
                "callback_secret": CALLBACK_SECRET,
                "cloud_url": running.base_url,
                **settings,
            }
            serving = await stack.enter_async_context(running_avatar(AvatarSettings(**values)))
            channel = await stack.enter_async_context(connected(serving.address))
            http = await stack.enter_async_context(
                httpx.AsyncClient(base_url=running.base_url, timeout=10)
            )
            rig = Rig(running, http, channel, relay, address=serving.address)
            await stack.enter_async_context(relay.passing_to(rig.stub))
            return rig

        yield open_


@pytest.fixture
async def rig(open_rig: OpenRig) -> Rig:
    return await open_rig()
