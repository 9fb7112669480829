"""Replies spoken through the real service and heard by the real engine."""

import asyncio
from contextlib import suppress
from pathlib import Path

import grpc
import pytest

from digitalhuman.avatar.v1 import avatar_pb2 as pb
from digitalhuman.conversation.v1.conversation_pb2 import (
    PLAYBACK_METHOD_CONFIRMED,
    PLAYBACK_METHOD_ESTIMATED,
)
from services.runtime.failures.reasons import Reason
from tests.support.avatar_rig import RATE, OpenRig, Rig, make_tone

LEAD_MS = 600
EAGER = """
[eager]
max_unplayed_s = 10
packet_s = 0.2
rate = inf
start_delay_s = 0.1
end_margin_s = 0.5
backlog_s = 120
progress_s = 0.5
"""
"""Sends whole replies at once."""


async def test_a_reply_is_heard_to_its_end(rig: Rig) -> None:
    avatar_id = await rig.on_air()
    pcm = make_tone(0.8)
    speaker = rig.drive()
    await speaker.setup(avatar_id, turn_id=7)
    await speaker.audio(pcm)
    await speaker.finish()

    kinds = await speaker.rest()

    assert (kinds[0], kinds[-1]) == ("drive_started", "drive_finished")
    assert kinds.count("playback_started") == 1
    assert set(kinds[1:-1]) == {"progress", "playback_started"}
    assert [event.sequence for event in speaker.events] == list(range(1, len(kinds) + 1))
    assert {event.turn_id for event in speaker.events} == {7}
    finished = speaker.events[-1].drive_finished
    assert finished.sent_duration.ToMilliseconds() == 800
    assert finished.played_duration.ToMilliseconds() == 800
    assert finished.method == PLAYBACK_METHOD_CONFIRMED
    assert not finished.interrupted
    assert finished.HasField("first_sent_time")
    (drive,) = await rig.recorded(avatar_id)
    assert drive["drive_id"] == speaker.events[0].drive_started.drive_id
    assert await rig.played(drive) == pcm


async def test_without_callbacks_the_end_is_estimated(open_rig: OpenRig) -> None:
    rig = await open_rig(relays=False)
    avatar_id = await rig.start()
    speaker = rig.drive()
    await speaker.setup(avatar_id, rate=16_000)
    await speaker.audio(make_tone(0.3, rate=16_000), chunk=640)
    await speaker.call.done_writing()

    finished = (await speaker.until("drive_finished")).drive_finished

    assert finished.method == PLAYBACK_METHOD_ESTIMATED
    assert finished.sent_duration.ToMilliseconds() == 300
    assert finished.played_duration.ToMilliseconds() == 300
    (drive,) = await rig.recorded(avatar_id)
    assert drive["sample_rate"] == 16_000
    assert drive["played_samples"] == 4800


async def test_the_cloud_opens_the_drive_before_there_is_audio(rig: Rig) -> None:
    avatar_id = await rig.on_air()
    speaker = rig.drive()
    await speaker.setup(avatar_id)

    await speaker.until("drive_started")

    await speaker.finish()
    assert (await speaker.rest()) == ["drive_started", "drive_finished"]
    finished = speaker.events[-1].drive_finished
    assert finished.sent_duration.ToMilliseconds() == 0
    assert not finished.interrupted
    assert not finished.HasField("first_sent_time")


async def test_an_interrupt_cuts_the_reply_where_it_was_heard(rig: Rig) -> None:
    avatar_id = await rig.on_air()
    speaker = rig.drive()
    await speaker.setup(avatar_id)
    await speaker.audio(make_tone(5))
    await speaker.until("playback_started")

    await speaker.interrupt()

    finished = (await speaker.until("drive_finished")).drive_finished
    assert finished.interrupted
    sent_ms = finished.sent_duration.ToMilliseconds()
    played_ms = finished.played_duration.ToMilliseconds()
    assert 0 < played_ms < sent_ms < 5000
    assert sent_ms - played_ms <= LEAD_MS
    (drive,) = await rig.recorded(avatar_id)
    assert drive["interrupted"]
    assert drive["received_samples"] * 1000 == sent_ms * RATE
    assert 0 < drive["played_samples"] * 1000 < sent_ms * RATE


async def test_whoever_takes_the_place_of_a_dead_caller_learns_what_was_heard(rig: Rig) -> None:
    avatar_id = await rig.on_air()
    speaker = rig.drive()
    await speaker.setup(avatar_id, turn_id=7)
    await speaker.audio(make_tone(5))
    while not (await speaker.until("progress")).progress.played_duration.ToMilliseconds():
        pass
    speaker.call.cancel()

    interrupted = await rig.stub.InterruptAvatar(pb.InterruptAvatarRequest(avatar_id=avatar_id))

    assert interrupted.last_drive.turn_id == 7
    progress = interrupted.last_drive.progress
    assert 0 < progress.played_duration.ToMilliseconds() < progress.sent_duration.ToMilliseconds()
    # It stays known after the sound.
    again = await rig.stub.InterruptAvatar(pb.InterruptAvatarRequest(avatar_id=avatar_id))
    assert again == interrupted


async def test_an_interrupt_is_obeyed_although_all_audio_was_sent(
    open_rig: OpenRig, tmp_path: Path
) -> None:
    profile = tmp_path / "eager.toml"
    profile.write_text(EAGER)
    rig = await open_rig(pacing=str(profile))
    avatar_id = await rig.on_air()
    speaker = rig.drive()
    await speaker.setup(avatar_id)
    await speaker.audio(make_tone(9))
    await speaker.finish()
    while (await speaker.until("progress")).progress.sent_duration.ToMilliseconds() < 9000:
        pass

    await speaker.interrupt()

    finished = (await speaker.until("drive_finished")).drive_finished
    assert finished.interrupted
    assert finished.played_duration.ToMilliseconds() < 9000


async def test_an_interrupt_before_any_audio_ends_the_drive(rig: Rig) -> None:
    avatar_id = await rig.on_air()
    speaker = rig.drive()
    await speaker.setup(avatar_id)
    await speaker.interrupt()

    finished = (await speaker.until("drive_finished")).drive_finished

    assert finished.interrupted
    assert finished.sent_duration.ToMilliseconds() == 0


async def test_interrupt_avatar_cuts_off_the_running_reply(rig: Rig) -> None:
    avatar_id = await rig.on_air()
    speaker = rig.drive()
    await speaker.setup(avatar_id)
    await speaker.audio(make_tone(3))
    await speaker.until("playback_started")

    await rig.stub.InterruptAvatar(pb.InterruptAvatarRequest(avatar_id=avatar_id), timeout=5)

    assert (await speaker.until("drive_finished")).drive_finished.interrupted
    (drive,) = await rig.recorded(avatar_id)
    assert drive["interrupted"]


async def test_a_silent_avatar_can_be_interrupted(rig: Rig) -> None:
    avatar_id = await rig.on_air()
    await rig.stub.InterruptAvatar(pb.InterruptAvatarRequest(avatar_id=avatar_id), timeout=5)


async def test_a_newer_reply_takes_the_avatar(rig: Rig) -> None:
    avatar_id = await rig.on_air()
    first = rig.drive()
    await first.setup(avatar_id, turn_id=1)
    await first.audio(make_tone(3))
    await first.until("playback_started")
    second = rig.drive()
    await second.setup(avatar_id, turn_id=2)
    await second.audio(make_tone(0.2))
    await second.finish()

    error = await first.failure()

    assert error.reason is Reason.DRIVE_SUPERSEDED
    assert 0 < int(error.metadata["sent_ms"]) < 3000
    assert int(error.metadata["played_ms"]) < int(error.metadata["sent_ms"])
    finished = (await second.until("drive_finished")).drive_finished
    assert finished.played_duration.ToMilliseconds() == 200
    old, new = await rig.recorded(avatar_id)
    assert old["interrupted"]
    assert new["played_samples"] == 4800


async def test_of_many_replies_at_once_one_is_spoken(rig: Rig) -> None:
    avatar_id = await rig.on_air()
    speakers = [rig.drive() for _ in range(4)]
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
    drives = await rig.recorded(avatar_id)
    assert drives[-1]["played_samples"] == 2400


async def test_two_avatars_speak_at_once(rig: Rig) -> None:
    ids = [await rig.on_air("stream-1"), await rig.on_air("stream-2")]
    replies = [make_tone(0.4), make_tone(0.5)]

    async def speak(avatar_id: str, pcm: bytes) -> None:
        speaker = rig.drive()
        await speaker.setup(avatar_id)
        await speaker.audio(pcm)
        await speaker.finish()
        await speaker.until("drive_finished")

    await asyncio.gather(*map(speak, ids, replies))

    for avatar_id, pcm in zip(ids, replies, strict=True):
        (drive,) = await rig.recorded(avatar_id)
        assert await rig.played(drive) == pcm


async def test_a_caller_that_goes_away_silences_the_avatar(rig: Rig) -> None:
    avatar_id = await rig.on_air()
    speaker = rig.drive()
    await speaker.setup(avatar_id)
    await speaker.audio(make_tone(3))
    await speaker.until("playback_started")
    drive_id = speaker.events[0].drive_started.drive_id

    speaker.call.cancel()

    await rig.relay.until(
        lambda body: body["Detail"].get("DriveId") == drive_id and body["Detail"]["Status"] > 2
    )
    (drive,) = await rig.recorded(avatar_id)
    assert drive["interrupted"]


async def test_a_dropped_socket_fails_the_reply_with_its_position(rig: Rig) -> None:
    avatar_id = await rig.on_air()
    await rig.set_faults({"kind": "socket_drop", "after_ms": 300})
    speaker = rig.drive()
    await speaker.setup(avatar_id)
    with suppress(grpc.aio.AioRpcError):  # The stream may end before all of it is written.
        await speaker.audio(make_tone(3))

    error = await speaker.failure()

    assert error.reason is Reason.DRIVE_LOST
    assert 0 < int(error.metadata["sent_ms"]) < 3000
    assert int(error.metadata["played_ms"]) <= int(error.metadata["sent_ms"])
    await rig.set_faults()
    again = rig.drive()
    await again.setup(avatar_id)
    await again.audio(make_tone(0.1))
    await again.finish()
    assert not (await again.until("drive_finished")).drive_finished.interrupted


async def test_an_avatar_that_ends_meanwhile_fails_the_reply(open_rig: OpenRig) -> None:
    rig = await open_rig(relays=False)
    avatar_id = await rig.start()
    speaker = rig.drive()
    await speaker.setup(avatar_id)
    await speaker.audio(make_tone(3))
    await speaker.until("playback_started")

    await rig.stub.StopAvatar(pb.StopAvatarRequest(avatar_id=avatar_id), timeout=5)

    error = await speaker.failure()
    assert error.reason is Reason.AVATAR_ENDED
    assert 0 < int(error.metadata["played_ms"]) < 3000


@pytest.mark.parametrize("kind", ["callback_loss", "callback_duplicate", "callback_reorder"])
async def test_unreliable_callbacks_do_not_change_what_was_heard(rig: Rig, kind: str) -> None:
    avatar_id = await rig.on_air()
    await rig.set_faults({"kind": kind})
    speaker = rig.drive()
    await speaker.setup(avatar_id)
    await speaker.audio(make_tone(0.4))
    await speaker.finish()

    kinds = await speaker.rest()

    assert kinds.count("playback_started") == 1
    finished = speaker.events[-1].drive_finished
    assert finished.played_duration.ToMilliseconds() == 400
    assert not finished.interrupted


async def test_a_drive_waits_for_an_avatar_that_is_about_to_come_on_air(rig: Rig) -> None:
    await rig.set_faults({"kind": "slow_init", "seconds": 0.5})
    avatar_id = await rig.start()
    speaker = rig.drive()
    await speaker.setup(avatar_id)

    await speaker.until("drive_started")


async def test_an_avatar_that_stays_off_air_cannot_be_driven(rig: Rig) -> None:
    await rig.set_faults({"kind": "slow_init", "seconds": 600})
    avatar_id = await rig.start()
    speaker = rig.drive()
    await speaker.setup(avatar_id)

    assert (await speaker.failure()).reason is Reason.AVATAR_NOT_ON_AIR


async def test_an_avatar_that_is_over_cannot_be_driven(rig: Rig) -> None:
    avatar_id = await rig.on_air()
    await rig.stub.StopAvatar(pb.StopAvatarRequest(avatar_id=avatar_id), timeout=5)
    speaker = rig.drive()
    await speaker.setup(avatar_id)

    assert (await speaker.failure()).reason is Reason.AVATAR_ENDED


async def test_an_unknown_avatar_cannot_be_driven(rig: Rig) -> None:
    speaker = rig.drive()
    await speaker.setup("no-such-avatar")

    assert (await speaker.failure()).reason is Reason.AVATAR_NOT_FOUND


async def test_audio_before_the_setup_is_refused(rig: Rig) -> None:
    speaker = rig.drive()
    await speaker.audio(make_tone(0.1))

    error = await speaker.failure()

    assert error.reason is Reason.STREAM_ORDER
    assert "first" in error.message


async def test_a_stream_without_any_message_is_refused(rig: Rig) -> None:
    speaker = rig.drive()
    await speaker.call.done_writing()

    assert (await speaker.failure()).reason is Reason.STREAM_ORDER


async def test_a_second_setup_is_refused(rig: Rig) -> None:
    avatar_id = await rig.on_air()
    speaker = rig.drive()
    await speaker.setup(avatar_id)
    await speaker.setup(avatar_id)

    error = await speaker.failure()

    assert error.reason is Reason.STREAM_ORDER
    assert "once" in error.message


@pytest.mark.parametrize("then", ["audio", "finish"])
async def test_nothing_but_an_interrupt_may_follow_the_finish(rig: Rig, then: str) -> None:
    avatar_id = await rig.on_air()
    speaker = rig.drive()
    await speaker.setup(avatar_id)
    await speaker.audio(make_tone(1))
    await speaker.finish()
    await (speaker.audio(make_tone(0.1)) if then == "audio" else speaker.finish())

    error = await speaker.failure()

    assert error.reason is Reason.STREAM_ORDER
    assert f"`{then}` must not come after `finish`" in error.message


async def test_half_a_sample_is_refused(rig: Rig) -> None:
    avatar_id = await rig.on_air()
    speaker = rig.drive()
    await speaker.setup(avatar_id)
    await speaker.audio(b"\0" * 961, chunk=961)

    error = await speaker.failure()

    assert error.reason is Reason.AUDIO_INVALID
    assert "audio.pcm" in error.message


async def test_a_rate_that_the_cloud_does_not_play_is_refused(rig: Rig) -> None:
    avatar_id = await rig.on_air()
    speaker = rig.drive()
    await speaker.setup(avatar_id, rate=8000)

    error = await speaker.failure()

    assert error.reason is Reason.INVALID_REQUEST
    assert [each.field for each in error.violations] == ["setup.format.sample_rate_hertz"]
