"""A drive is fed ahead of playback by so much and no more, and cut off in the middle of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from digitalhuman.avatar.v1 import avatar_pb2 as pb
from digitalhuman.conversation.v1.conversation_pb2 import PLAYBACK_METHOD_ESTIMATED
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.runtime.pcm import byte_count, duration_s
from services.runtime.wire import to_duration, to_timestamp
from services.speech.playback.avatar import (
    LEAD_S,
    MESSAGE_BYTES,
    OUTBOX_S,
    STALL_S,
    AvatarDrive,
    DriveCall,
)
from services.speech.playback.ports import PlaybackMethod
from services.speech.playback.wire import to_format
from tests.support.virtual_time import in_virtual_time

RATE = 24_000
SETUP = pb.DriveSetup(avatar_id="a", turn_id=1, format=to_format(RATE))
STARTED = pb.DriveResponse(drive_started=pb.DriveStarted(drive_id="d"))


class ScriptedCall:
    """Takes requests with the time of their coming, and answers when a test says so."""

    def __init__(self) -> None:
        self.requests: list[tuple[float, pb.DriveRequest]] = []
        self._responses: asyncio.Queue[pb.DriveResponse] = asyncio.Queue(maxsize=16)
        self.is_blocked = False

    async def write(self, request: pb.DriveRequest) -> None:
        """Take a request."""
        if self.is_blocked:
            await asyncio.Event().wait()
        self.requests.append((asyncio.get_running_loop().time(), request))
        if request.HasField("interrupt"):
            self.answer(finished(self.audio_s, interrupted=True))

    async def done_writing(self) -> None:
        """Half-close."""

    def answer(self, response: pb.DriveResponse) -> None:
        """Say something."""
        self._responses.put_nowait(response)

    async def __aiter__(self) -> AsyncIterator[pb.DriveResponse]:
        while True:
            response = await self._responses.get()
            yield response
            if response.HasField("drive_finished"):
                return

    @property
    def kinds(self) -> list[str | None]:
        """The kinds of the requests."""
        return [request.WhichOneof("request") for _, request in self.requests]

    @property
    def audio_s(self) -> float:
        """How much audio has come."""
        return sum(duration_s(len(request.audio.pcm), RATE) for _, request in self.requests)


class Watcher:
    """Remembers its reports."""

    def __init__(self) -> None:
        self.reports: list[object] = []

    def drive_ready(self) -> None:
        """The drive is open."""
        self.reports.append("ready")

    def playback_started(self, method: PlaybackMethod) -> None:
        """The reply is heard."""
        self.reports.append(method)


def finished(played_s: float, *, interrupted: bool = False) -> pb.DriveResponse:
    """Return the last response of a drive."""
    return pb.DriveResponse(
        drive_finished=pb.DriveFinished(
            sent_duration=to_duration(played_s),
            played_duration=to_duration(played_s),
            method=PLAYBACK_METHOD_ESTIMATED,
            interrupted=interrupted,
        )
    )


def audio(seconds: float) -> bytes:
    """Return so much audio."""
    return bytes(byte_count(seconds, RATE))


@asynccontextmanager
async def driving(call: ScriptedCall, watcher: Watcher | None = None) -> AsyncIterator[AvatarDrive]:
    """A drive whose tasks run on a call."""
    drive = AvatarDrive(sample_rate_hertz=RATE, watcher=watcher or Watcher())
    typed = cast(DriveCall, cast(Any, call))
    tasks = (
        asyncio.create_task(drive.write_to(typed, SETUP)),
        asyncio.create_task(drive.read_from(typed)),
    )
    try:
        yield drive
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@in_virtual_time
async def test_audio_is_fed_ahead_of_playback_and_no_further() -> None:
    call = ScriptedCall()
    call.answer(STARTED)
    async with driving(call) as drive:
        for _ in range(40):
            assert await drive.send(audio(0.5))
        finishing = asyncio.create_task(drive.finish())
        await asyncio.sleep(30)
        call.answer(finished(20))
        playback = await finishing
    assert playback.played_s == 20
    assert not playback.is_interrupted
    assert call.kinds[0] == "setup"
    assert call.kinds[-1] == "finish"
    assert call.audio_s == pytest.approx(20)
    fed_s = 0.0
    for at, request in call.requests:
        fed_s += duration_s(len(request.audio.pcm), RATE)
        assert fed_s <= at + LEAD_S + duration_s(MESSAGE_BYTES, RATE)


async def spoken(call: ScriptedCall, *, seconds: float, every_s: float) -> None:
    """Speak a reply whose audio is made in chunks of 100 ms."""
    call.answer(STARTED)
    async with driving(call) as drive:
        for _ in range(round(seconds / 0.1)):
            assert await drive.send(audio(0.1))
            await asyncio.sleep(every_s)
        finishing = asyncio.create_task(drive.finish())
        await asyncio.sleep(10)
        call.answer(finished(seconds))
        await finishing


@in_virtual_time
async def test_only_audio_that_is_not_urgent_waits_to_fill_a_message() -> None:
    call = ScriptedCall()
    await spoken(call, seconds=6, every_s=0.02)
    sizes = [duration_s(len(each.audio.pcm), RATE) for _, each in call.requests if each.audio.pcm]
    assert sum(sizes) == pytest.approx(6)
    assert sizes[:5] == pytest.approx([0.1] * 5)
    assert len(sizes) < 25
    assert max(sizes) == duration_s(MESSAGE_BYTES, RATE)


@in_virtual_time
async def test_audio_that_comes_slowly_is_passed_on_before_playback_needs_it() -> None:
    call = ScriptedCall()
    await spoken(call, seconds=5, every_s=0.09)
    plays_until = 0.0
    for at, request in call.requests:
        if request.audio.pcm:
            plays_until = plays_until or at
            assert at <= plays_until
            plays_until += duration_s(len(request.audio.pcm), RATE)


@in_virtual_time
async def test_nothing_is_written_before_the_drive_is_open() -> None:
    call = ScriptedCall()
    watcher = Watcher()
    async with driving(call, watcher) as drive:
        await drive.send(audio(0.5))
        await asyncio.sleep(1)
        assert call.kinds == ["setup"]
        assert watcher.reports == []
        call.answer(STARTED)
        await asyncio.sleep(0.1)
        assert call.audio_s == pytest.approx(0.5)
        assert watcher.reports == ["ready"]


@in_virtual_time
async def test_an_interrupt_drops_what_waits_and_overtakes_the_pause() -> None:
    call = ScriptedCall()
    call.answer(STARTED)
    async with driving(call) as drive:
        await drive.send(audio(LEAD_S + OUTBOX_S))
        await asyncio.sleep(0.5)
        fed_s = call.audio_s
        assert fed_s < LEAD_S + OUTBOX_S - 1
        playback = await drive.interrupt()
        assert playback.is_interrupted
        assert asyncio.get_running_loop().time() == pytest.approx(0.5)
        assert call.audio_s == fed_s
        assert not await drive.send(audio(1))


@in_virtual_time
async def test_a_drive_is_interrupted_even_after_its_last_audio() -> None:
    call = ScriptedCall()
    call.answer(STARTED)
    async with driving(call) as drive:
        await drive.send(audio(1))
        finishing = asyncio.create_task(drive.finish())
        await asyncio.sleep(0.2)
        finishing.cancel()
        playback = await drive.interrupt()
        assert playback.is_interrupted
    assert call.kinds[-2:] == ["finish", "interrupt"]


@in_virtual_time
async def test_a_drive_that_takes_no_audio_is_lost() -> None:
    call = ScriptedCall()
    call.answer(STARTED)
    async with driving(call) as drive:
        call.is_blocked = True
        await drive.send(audio(OUTBOX_S))
        with pytest.raises(ServiceError) as failure:
            await drive.send(audio(1))
    assert failure.value.reason is Reason.DRIVE_LOST
    assert asyncio.get_running_loop().time() == pytest.approx(STALL_S)


@in_virtual_time
async def test_a_drive_without_an_end_is_lost() -> None:
    call = ScriptedCall()
    call.answer(STARTED)
    async with driving(call) as drive:
        await drive.send(audio(1))
        with pytest.raises(ServiceError) as failure:
            await drive.finish()
    assert failure.value.reason is Reason.DRIVE_LOST


@in_virtual_time
async def test_when_audio_was_sent_is_known_by_the_reporters_clock_alone() -> None:
    """Its clock may differ from ours, and may be set between two of its words."""
    call = ScriptedCall()
    call.answer(STARTED)
    loop = asyncio.get_running_loop()
    async with driving(call) as drive:
        await drive.send(audio(0.5))
        await asyncio.sleep(1)
        sent_at = loop.time() - 0.2
        for wall, sent_time in ((5_000.2, 5_000.0), (8_600.7, 8_600.0)):
            progress = pb.DriveProgress(first_sent_time=to_timestamp(sent_time))
            response = pb.DriveResponse(event_time=to_timestamp(wall), progress=progress)
            call.answer(response)
            await asyncio.sleep(0.5)
            assert drive.playback.first_sent_at == pytest.approx(sent_at, abs=0.001)
