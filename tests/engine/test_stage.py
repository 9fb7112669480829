"""A stage tick by tick: prebuffer, stutters, the end, and packets for viewers."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.audio.recordings import keeping_recordings
from engine.audio.sound import InputEnd, PcmFormat
from engine.contract.faults import Faults
from engine.face.layout import Layout
from engine.face.looks import MIA
from engine.face.performer import Performer
from engine.face.screen import Screen
from engine.face.studio import Scene, open_studio
from engine.tasks.drives import DriveStatus
from engine.tasks.stage import Order, Stage
from tests.support.engine_cloud import ManualClock, make_tone

MS_20 = make_tone(0.02).tobytes()
FORMAT = PcmFormat(sample_rate=24000)


class Ear:
    def __init__(self) -> None:
        self.packets: list[Any] = []

    def put(self, packet: Any) -> None:
        self.packets.append(packet)


@pytest.fixture
async def stage(clock: ManualClock, tmp_path: Path) -> AsyncIterator[Stage]:
    with keeping_recordings(tmp_path, 2**22) as recordings:
        performer = Performer()
        scene = Scene(look=MIA, layout=Layout.SQUARE)
        with open_studio() as studio:
            async with Stage(
                clock=clock,
                faults=Faults(),
                record=partial(recordings.open, stream_id="one"),
                announce=lambda drive: None,
                performer=performer,
                screen=Screen(studio=studio, scene=scene, performer=performer),
            ) as stage:
                yield stage


def tick(stage: Stage, count: int = 1) -> None:
    for index in range(count):
        stage.tick(index)


async def test_playing_begins_with_60_ms(stage: Stage) -> None:
    drive = stage.add("DriveByWsStream", Order.ALONE)
    tick(stage, 3)
    pcm_input = drive.open(FORMAT)
    await pcm_input.write(MS_20 * 2)
    tick(stage, 10)
    assert (drive.status, drive.played_samples) == (DriveStatus.QUEUED, 0)
    await pcm_input.write(MS_20)
    tick(stage)
    assert (drive.status, drive.played_samples) == (DriveStatus.DRIVING, 480)


async def test_less_than_60_ms_play_once_they_are_all(stage: Stage) -> None:
    drive = stage.add("DriveByWsStream", Order.ALONE)
    pcm_input = drive.open(FORMAT)
    await pcm_input.write(MS_20[:100])
    pcm_input.close(InputEnd.STOPPED)
    tick(stage)
    assert (drive.status, drive.played_samples) == (DriveStatus.DRIVING, 50)
    tick(stage)
    assert (drive.status, drive.stutters) == (DriveStatus.ENDED, 0)


async def test_each_underrun_is_one_stutter(stage: Stage) -> None:
    drive = stage.add("DriveByWsStream", Order.ALONE)
    pcm_input = drive.open(FORMAT)
    for stutters in (1, 2):
        await pcm_input.write(MS_20 * 3 + MS_20[:100])
        tick(stage, 20)
        assert drive.stutters == stutters
    assert drive.played_samples == 6 * 480
    pcm_input.close(InputEnd.STOPPED)
    tick(stage, 2)
    assert (drive.status, drive.stutters) == (DriveStatus.ENDED, 2)
    assert drive.played_samples == 6 * 480 + 100


async def test_lost_input_plays_out_and_fails(stage: Stage) -> None:
    drive = stage.add("DriveByWsStream", Order.ALONE)
    await drive.open(FORMAT).write(MS_20 * 3)
    drive.lose()
    tick(stage, 4)
    assert (drive.status, drive.played_samples) == (DriveStatus.FAILED, 3 * 480)


async def test_drive_without_sound_ends_when_stopped(stage: Stage) -> None:
    drive = stage.add("DriveByWsStream", Order.ALONE)
    drive.open(FORMAT).close(InputEnd.STOPPED)
    tick(stage)
    assert (drive.status, drive.started_time) == (DriveStatus.ENDED, None)


async def test_viewers_share_the_packet_of_a_tick(stage: Stage) -> None:
    ears = Ear(), Ear()
    with stage.watched_by(ears[0]), stage.watched_by(ears[1]):
        tick(stage, 3)
    tick(stage)
    assert len(ears[0].packets) == 3
    assert all(one is other for one, other in zip(*(ear.packets for ear in ears), strict=True))
    assert [packet.pts for packet in ears[0].packets] == [0, 960, 1920]


async def test_lasting_silence_is_not_encoded_again(stage: Stage) -> None:
    ear = Ear()
    with stage.watched_by(ear):
        tick(stage, 60)
    assert len({bytes(packet) for packet in ear.packets[25:]}) == 1


async def test_idle_time_counts_sound_only(stage: Stage, clock: ManualClock) -> None:
    drive = stage.add("DriveByWsStream", Order.ALONE)
    clock.advance(10)
    await drive.open(FORMAT).write(MS_20 * 3)
    tick(stage)
    assert stage.driven_at == 10
    clock.advance(10)
    tick(stage, 2)
    clock.advance(10)
    tick(stage, 5)
    assert stage.driven_at == 20


async def test_drive_that_is_over_keeps_what_was_played(stage: Stage) -> None:
    drive = stage.add("DriveByWsStream", Order.ALONE)
    await drive.open(FORMAT).write(MS_20 * 5)
    tick(stage, 2)
    stage.interrupt()
    tick(stage, 5)
    assert drive.status is DriveStatus.INTERRUPTED
    wav = drive.recording.read_wav()
    assert np.array_equal(np.frombuffer(wav[44:], "<i2"), np.frombuffer(MS_20 * 2, "<i2"))
