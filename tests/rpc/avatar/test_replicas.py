"""Several avatar services on one database: what one has, the others can be asked for."""

import asyncio
import os
import signal
import sys
from asyncio import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from digitalhuman.avatar.v1 import avatar_pb2 as pb
from digitalhuman.avatar.v1 import avatar_pb2_grpc
from digitalhuman.conversation.v1 import conversation_pb2
from engine.serving.http import serving_http
from services.avatar.app import running as running_avatar
from services.avatar.other_replicas import PASSED_ON_HEADER
from services.avatar.settings import AvatarSettings
from services.avatar.vendor.limits import CALLS, WINDOW_S
from services.runtime.channels.channel import connected
from services.runtime.failures.reasons import Reason
from tests.support.avatar_rig import (
    APP_ID,
    CALLBACK_SECRET,
    SERVER_SECRET,
    OpenRig,
    Rig,
    make_tone,
)
from tests.support.compose import LOOPBACK, ROOT, free_ports

CONFIRMED = conversation_pb2.PLAYBACK_METHOD_CONFIRMED


@pytest.fixture
async def rigs(open_rig: OpenRig, postgres_url: str) -> AsyncIterator[tuple[Rig, Rig]]:
    """Two replicas and one engine, whose callbacks all arrive at the first."""
    ports = free_ports(2)
    first = await open_rig(port=int(ports[0]), database=postgres_url)
    settings = AvatarSettings(
        port=int(ports[1]),
        engine_app_id=APP_ID,
        engine_server_secret=SERVER_SECRET,
        callback_secret=CALLBACK_SECRET,
        cloud_url=first.engine.base_url,
        database=postgres_url,
    )
    async with running_avatar(settings) as serving, connected(serving.address) as channel:
        yield first, Rig(first.engine, first.http, channel, first.relay, address=serving.address)


async def interrupted(rig: Rig, avatar_id: str) -> pb.InterruptAvatarResponse:
    request = pb.InterruptAvatarRequest(avatar_id=avatar_id)
    return await rig.stub.InterruptAvatar(request, timeout=10)


async def test_a_callback_reaches_the_replica_that_has_the_drive(rigs: tuple[Rig, Rig]) -> None:
    hook, holder = rigs
    avatar_id = await hook.on_air()
    speaker = holder.drive()
    await speaker.setup(avatar_id)
    await speaker.audio(make_tone(0.3))
    await speaker.finish()
    finished = (await speaker.until("drive_finished")).drive_finished
    assert finished.method == CONFIRMED
    assert finished.played_duration.ToMilliseconds() == 300


async def test_an_interrupt_reaches_the_drive_and_tells_what_was_heard(
    rigs: tuple[Rig, Rig],
) -> None:
    asked, holder = rigs
    avatar_id = await asked.on_air()
    speaker = holder.drive()
    await speaker.setup(avatar_id, turn_id=7)
    await speaker.audio(make_tone(5))
    while not (await speaker.until("progress")).progress.played_duration.ToMilliseconds():
        pass

    last = (await interrupted(asked, avatar_id)).last_drive

    finished = (await speaker.until("drive_finished")).drive_finished
    assert finished.interrupted
    assert last.turn_id == 7
    assert last.progress.played_duration == finished.played_duration
    assert 0 < finished.played_duration.ToMilliseconds() < 5000
    # It stays known after the sound, to either.
    assert (await interrupted(asked, avatar_id)).last_drive == last
    assert (await interrupted(holder, avatar_id)).last_drive == last
    (drive,) = await asked.recorded(avatar_id)
    assert drive["interrupted"]


async def test_a_newer_reply_takes_the_avatar_from_another_replica(rigs: tuple[Rig, Rig]) -> None:
    one, other = rigs
    avatar_id = await one.on_air()
    old = one.drive()
    await old.setup(avatar_id, turn_id=1)
    await old.audio(make_tone(3))
    await old.until("playback_started")
    new = other.drive()
    await new.setup(avatar_id, turn_id=2)
    await new.audio(make_tone(0.2))
    await new.finish()

    error = await old.failure()

    assert error.reason is Reason.DRIVE_SUPERSEDED
    assert 0 < int(error.metadata["sent_ms"]) < 3000
    finished = (await new.until("drive_finished")).drive_finished
    assert finished.played_duration.ToMilliseconds() == 200
    # One connection at a time: the engine would have noted a second one.
    before, after = await one.recorded(avatar_id)
    assert before["interrupted"]
    assert after["played_samples"] == 4800


async def test_of_many_replies_at_both_replicas_one_is_spoken(rigs: tuple[Rig, Rig]) -> None:
    avatar_id = await rigs[0].on_air()
    speakers = [rigs[number % 2].drive() for number in range(6)]
    outcomes = {asyncio.create_task(speaker.outcome()): speaker for speaker in speakers}
    for speaker in speakers:
        await speaker.setup(avatar_id)
        await speaker.audio(make_tone(0.1))

    pending = set(outcomes)
    while len(pending) > 1:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        assert {task.result() for task in done} == {Reason.DRIVE_SUPERSEDED}
    (last,) = pending
    await outcomes[last].finish()

    assert await last == "drive_finished"
    assert (await rigs[0].recorded(avatar_id))[-1]["played_samples"] == 2400


async def test_a_silent_avatar_that_another_replica_had_can_be_interrupted_and_driven(
    rigs: tuple[Rig, Rig],
) -> None:
    avatar_id = await rigs[0].on_air()
    for rig in (*rigs, *rigs):
        speaker = rig.drive()
        await speaker.setup(avatar_id)
        await speaker.audio(make_tone(0.1))
        await speaker.finish()
        assert await speaker.outcome() == "drive_finished"
    assert len(await rigs[0].recorded(avatar_id)) == 4


@pytest.fixture
async def process(
    rigs: tuple[Rig, Rig], postgres_url: str
) -> AsyncIterator[tuple[subprocess.Process, Rig]]:
    """A third replica, in a process of its own."""
    rig, _ = rigs
    [port] = free_ports(1)
    environment = {
        "AVATAR_PORT": port,
        "AVATAR_DATABASE": postgres_url,
        "AVATAR_CLOUD_URL": rig.engine.base_url,
        "ENGINE_APP_ID": str(APP_ID),
        "ENGINE_SERVER_SECRET": SERVER_SECRET,
        "CALLBACK_SECRET": CALLBACK_SECRET,
    }
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.avatar"), env={**os.environ, **environment}, cwd=ROOT
    )
    address = f"{LOOPBACK}:{port}"
    try:
        async with connected(address) as channel:
            yield running, Rig(rig.engine, rig.http, channel, rig.relay, address=address)
    finally:
        with suppress(ProcessLookupError):
            running.kill()
        await running.wait()


async def test_a_replica_that_was_paused_does_not_speak_over_the_one_that_went_on(
    rigs: tuple[Rig, Rig], process: tuple[subprocess.Process, Rig]
) -> None:
    awake, _ = rigs
    running, paused = process
    avatar_id = await awake.on_air()
    old = paused.drive()
    await old.setup(avatar_id, turn_id=1)
    await old.audio(make_tone(5))
    await old.until("playback_started")

    running.send_signal(signal.SIGSTOP)
    new = awake.drive()
    await new.setup(avatar_id, turn_id=2)
    await new.audio(make_tone(1.5))
    await new.until("playback_started")
    running.send_signal(signal.SIGCONT)

    assert await old.outcome() == Reason.DRIVE_SUPERSEDED
    await new.finish()
    finished = (await new.until("drive_finished")).drive_finished
    assert not finished.interrupted
    assert finished.played_duration.ToMilliseconds() == 1500


async def test_what_a_killed_replica_had_is_silenced(
    rigs: tuple[Rig, Rig], process: tuple[subprocess.Process, Rig]
) -> None:
    asked, _ = rigs
    running, killed = process
    avatar_id = await asked.on_air()
    speaker = killed.drive()
    await speaker.setup(avatar_id)
    await speaker.audio(make_tone(3))
    await speaker.until("playback_started")

    running.kill()
    assert not (await interrupted(asked, avatar_id)).HasField("last_drive")

    again = asked.drive()
    await again.setup(avatar_id)
    await again.audio(make_tone(0.1))
    await again.finish()
    assert await again.outcome() == "drive_finished"


async def test_what_was_passed_on_goes_no_further(rigs: tuple[Rig, Rig]) -> None:
    asked, holder = rigs
    avatar_id = await asked.on_air()
    speaker = holder.drive()
    await speaker.setup(avatar_id)
    await speaker.audio(make_tone(0.1))
    await speaker.finish()
    await speaker.until("drive_finished")
    request = pb.InterruptAvatarRequest(avatar_id=avatar_id)
    answer = await asked.stub.InterruptAvatar(request, metadata=((PASSED_ON_HEADER, "1"),))
    assert not answer.HasField("last_drive")
    assert (await interrupted(asked, avatar_id)).HasField("last_drive")


async def test_the_cloud_gets_ten_calls_per_window_from_both(postgres_url: str) -> None:
    arrivals: list[float] = []
    loop = asyncio.get_running_loop()

    async def answer(request: Request) -> JSONResponse:
        arrivals.append(loop.time())
        return JSONResponse({"Code": 0, "Data": []})

    ports = free_ports(2)
    async with AsyncExitStack() as stack:
        application = Starlette(routes=[Route("/", answer, methods=["POST"])])
        cloud_port = await stack.enter_async_context(
            serving_http(application, host=LOOPBACK, port=0)
        )
        stubs = []
        for port in ports:
            settings = AvatarSettings(
                port=int(port),
                engine_app_id=APP_ID,
                engine_server_secret=SERVER_SECRET,
                cloud_url=f"http://{LOOPBACK}:{cloud_port}",
                database=postgres_url,
            )
            serving = await stack.enter_async_context(running_avatar(settings))
            channel = await stack.enter_async_context(connected(serving.address))
            stubs.append(avatar_pb2_grpc.AvatarServiceStub(channel))

        began = loop.time()
        await asyncio.gather(
            *(stubs[number % 2].ListAvatars(pb.ListAvatarsRequest()) for number in range(24))
        )

    # However late a call arrives, it is not early.
    assert len(arrivals) == 24
    for number, at in enumerate(sorted(arrivals)):
        assert at - began >= number // CALLS * WINDOW_S
