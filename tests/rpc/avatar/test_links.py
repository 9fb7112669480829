"""The link between speech and the avatar service: dead, too slow for speech, or not there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from digitalhuman.avatar.v1 import avatar_pb2_grpc
from services.avatar.app import running as running_avatar
from services.avatar.settings import AvatarSettings
from services.runtime.channels.rendezvous import ranked
from services.runtime.channels.replicas import replicas
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.speech.playback.avatar import AvatarDrive, AvatarSpeaker
from services.speech.playback.ports import Playback, PlaybackMethod
from tests.support.avatar_rig import (
    APP_ID,
    CALLBACK_SECRET,
    RATE,
    SERVER_SECRET,
    Rig,
    make_tone,
)
from tests.support.compose import free_ports
from tests.support.proxy import Proxy, proxying

SECOND_BYTES = 2 * RATE


class Watcher:
    """Notes that a reply is heard."""

    def __init__(self) -> None:
        self.playing = asyncio.Event()

    def drive_ready(self) -> None:
        """It is open."""

    def playback_started(self, method: PlaybackMethod) -> None:
        """It is heard."""
        self.playing.set()


@asynccontextmanager
async def speaking(address: str, avatar_id: str, watcher: Watcher) -> AsyncIterator[AvatarDrive]:
    """A reply that speech sends to an address."""
    async with replicas(address, avatar_pb2_grpc.AvatarServiceStub) as avatars:
        speaker = AvatarSpeaker(avatars, avatar_id=avatar_id, service_token=None)
        async with speaker.open(turn_id=1, sample_rate_hertz=RATE, watcher=watcher) as drive:
            yield drive


@asynccontextmanager
async def linked(rig: Rig) -> AsyncIterator[tuple[Proxy, str]]:
    """A link to the avatar service."""
    async with proxying(f"http://{rig.address}") as proxy:
        yield proxy, proxy.url.removeprefix("http://")


async def say(drive: AvatarDrive, seconds: float) -> Playback:
    """Send a reply and see it played."""
    tone = make_tone(seconds)
    for at in range(0, len(tone), SECOND_BYTES):
        await drive.send(tone[at : at + SECOND_BYTES])
    return await drive.finish()


async def test_over_a_slow_link_a_reply_is_spoken_late_and_whole(rig: Rig) -> None:
    avatar_id = await rig.on_air()
    async with linked(rig) as (proxy, address):
        # Speech needs 48 kB a second.
        proxy.up.narrow(20_000)
        async with speaking(address, avatar_id, Watcher()) as drive:
            playback = await say(drive, 4)
    assert (playback.played_s, playback.is_interrupted) == (4.0, False)
    [recorded] = await rig.recorded(avatar_id)
    assert recorded["played_samples"] == 4 * RATE


async def test_a_reply_is_taken_by_the_replica_that_is_there(rig: Rig) -> None:
    avatar_id = await rig.on_air()
    [port] = free_ports(1)
    absent = (f"127.0.0.{host}:{port}" for host in range(2, 255))
    gone = next(each for each in absent if ranked((each, rig.address), avatar_id)[0] == each)
    async with speaking(f"{gone},{rig.address}", avatar_id, Watcher()) as drive:
        playback = await say(drive, 0.3)
    assert (playback.played_s, playback.is_interrupted) == (0.3, False)


async def test_a_reply_is_taken_by_the_replica_that_is_there_first(rig: Rig) -> None:
    avatar_id = await rig.on_air()
    [port, late] = free_ports(2)
    absent = (f"127.0.0.{host}:{port}" for host in range(2, 255))
    gone = next(
        each for each in absent if ranked((each, f"127.0.0.1:{late}"), avatar_id)[0] == each
    )
    settings = AvatarSettings(
        port=int(late),
        engine_app_id=APP_ID,
        engine_server_secret=SERVER_SECRET,
        callback_secret=CALLBACK_SECRET,
        cloud_url=rig.engine.base_url,
    )
    async with speaking(f"{gone},127.0.0.1:{late}", avatar_id, Watcher()) as drive:
        # Both have been found away by then.
        await asyncio.sleep(0.2)
        async with running_avatar(settings):
            playback = await say(drive, 0.3)
    assert (playback.played_s, playback.is_interrupted) == (0.3, False)


async def test_a_dead_link_ends_the_reply_at_both_ends(rig: Rig) -> None:
    avatar_id = await rig.on_air()
    watcher = Watcher()
    async with linked(rig) as (proxy, address):
        async with speaking(address, avatar_id, watcher) as drive:
            saying = asyncio.create_task(say(drive, 40))
            await watcher.playing.wait()
            proxy.up.hold()
            proxy.down.hold()
            # By itself either end would wait for what the other one says.
            with pytest.raises(ServiceError) as failure:
                await saying
        assert failure.value.reason in (Reason.DEPENDENCY_UNAVAILABLE, Reason.DRIVE_LOST)
        proxy.cut()
        proxy.mend()
        async with speaking(address, avatar_id, Watcher()) as drive:
            assert (await say(drive, 0.5)).played_s == 0.5
    cut, whole = await rig.recorded(avatar_id)
    assert cut["played_samples"] < 40 * RATE
    assert whole["played_samples"] == RATE / 2


async def test_a_reply_for_a_service_that_is_not_there_is_given_up(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.speech.playback.avatar.STALL_S", 0.3)
    async with speaking("127.0.0.1:1", "avatar", Watcher()) as drive:
        with pytest.raises(ServiceError) as failure:
            await say(drive, 5)
    assert failure.value.reason is Reason.DRIVE_LOST
