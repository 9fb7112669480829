"""An avatar service goes down while avatars speak."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from services.avatar.app import running as running_avatar
from services.avatar.settings import AvatarSettings
from services.runtime.channels.channel import connected
from tests.support.avatar_rig import (
    APP_ID,
    CALLBACK_SECRET,
    SERVER_SECRET,
    Rig,
    Speaker,
    make_tone,
)


@asynccontextmanager
async def speaking(rig: Rig, *, drain_s: float) -> AsyncIterator[tuple[Speaker, AsyncExitStack]]:
    """A reply that is heard through a service of its own, and what ends that service."""
    settings = AvatarSettings(
        port=0,
        engine_app_id=APP_ID,
        engine_server_secret=SERVER_SECRET,
        callback_secret=CALLBACK_SECRET,
        cloud_url=rig.engine.base_url,
        drain_s=drain_s,
    )
    async with AsyncExitStack() as caller:
        service = await caller.enter_async_context(AsyncExitStack())
        serving = await service.enter_async_context(running_avatar(settings))
        channel = await caller.enter_async_context(connected(serving.address))
        going = Rig(rig.engine, rig.http, channel, rig.relay, address=serving.address)
        speaker = going.drive()
        await speaker.setup(await rig.on_air())
        await speaker.audio(make_tone(0.5))
        await speaker.until("playback_started")
        yield speaker, service


async def test_a_reply_is_spoken_to_its_end(rig: Rig) -> None:
    async with speaking(rig, drain_s=60) as (speaker, service):
        ending = asyncio.create_task(service.aclose())
        await speaker.audio(make_tone(0.5))
        await speaker.finish()
        assert (await speaker.rest())[-1] == "drive_finished"
        await ending
    finished = speaker.events[-1].drive_finished
    assert not finished.interrupted
    assert finished.played_duration.ToMilliseconds() == 1000


@pytest.mark.parametrize("drain_s", [0, 0.1])
async def test_a_reply_that_takes_too_long_is_cut_off_where_it_was_heard(
    rig: Rig, drain_s: float
) -> None:
    async with speaking(rig, drain_s=drain_s) as (speaker, service):
        await service.aclose()
        assert (await speaker.rest())[-1] == "drive_finished"
    finished = speaker.events[-1].drive_finished
    assert finished.interrupted
    assert 0 < finished.played_duration.ToMilliseconds() <= 500
