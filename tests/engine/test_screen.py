"""A screen tick by tick: the loop while nothing happens, painted frames while something does."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import av
import numpy as np
import pytest

from engine.face.encoder import CLOCK_RATE
from engine.face.layout import Layout
from engine.face.looks import MIA
from engine.face.loop import LOOP_FRAMES
from engine.face.performer import Performer
from engine.face.screen import Screen
from engine.face.studio import Scene, Studio

TICKS_PER_S = 50
RATE = 16_000


class Theatre:
    """A screen whose frames are always painted in time."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.performer = Performer(seed=1)
        scene = Scene(look=MIA, layout=Layout.SQUARE)
        self.screen = Screen(studio=studio, scene=scene, performer=self.performer)
        self.index = 0
        self.screen.prepare().loop.result()

    def play(self, ticks: int) -> list[Any]:
        packets = []
        for _ in range(ticks):
            self.index += 1
            packets.append(self.screen.tick(self.index))
            self.finish_painting()
        return [packet for packet in packets if packet is not None]

    def finish_painting(self) -> None:
        # There is one painter only, so this comes after what was begun before.
        self.studio.paint(int).result()

    def hear_noise(self, seconds: float) -> None:
        noise = np.random.default_rng(1).integers(-9000, 9000, int(RATE * seconds))
        at_s = self.index / TICKS_PER_S
        self.performer.hear(noise.astype(np.int16), sample_rate=RATE, at_s=at_s)


@pytest.fixture
def theatre() -> Iterator[Theatre]:
    with ThreadPoolExecutor(1) as painters, ThreadPoolExecutor(1) as makers:
        yield Theatre(Studio(painters, makers))


def decode(packets: list[Any]) -> list[av.VideoFrame]:
    decoder = av.CodecContext.create("vp8", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    return [frame for packet in packets for frame in decoder.decode(packet)]


def test_frames_come_25_times_a_second_from_a_key_frame_on(theatre: Theatre) -> None:
    packets = theatre.play(100)
    assert len(packets) == 50
    assert packets[0].is_keyframe
    times = [packet.pts for packet in packets]
    assert set(np.diff(times)) == {CLOCK_RATE // 25}


def test_still_face_is_led_into_the_loop(theatre: Theatre) -> None:
    packets = theatre.play(200)
    painted = theatre.studio.count.painted
    assert 12 <= painted <= 16
    assert theatre.studio.count.looped == len(packets) - painted
    keys = [number for number, packet in enumerate(packets) if packet.is_keyframe]
    assert keys == [0, painted]
    theatre.play(LOOP_FRAMES * 4)
    assert theatre.studio.count.painted == painted


def test_no_jump_between_loop_and_life(theatre: Theatre) -> None:
    packets = theatre.play(300)
    theatre.hear_noise(0.2)
    packets += theatre.play(200)
    frames = [frame.to_ndarray(format="gray").astype(float) for frame in decode(packets)]
    assert len(frames) == len(packets)
    # Hair, shoulders and background: where speech does not move anything by itself.
    steps = [np.abs(after[:200] - before[:200]).mean() for before, after in pairwise(frames)]
    assert theatre.studio.count.keys == 2
    assert max(steps) < 2.5


def test_speech_begins_with_a_key_frame(theatre: Theatre) -> None:
    theatre.play(200)
    before = theatre.studio.count.looped
    theatre.hear_noise(1.0)
    packets = theatre.play(20)
    assert packets[0].is_keyframe
    assert theatre.studio.count.looped == before
    theatre.play(200)
    assert theatre.studio.count.looped > before


def test_action_leaves_the_loop(theatre: Theatre) -> None:
    theatre.play(200)
    painted = theatre.studio.count.painted
    theatre.performer.act("nod")
    theatre.play(50)
    assert theatre.studio.count.painted - painted > 20


def test_request_for_a_key_frame_is_granted_once(theatre: Theatre) -> None:
    theatre.play(200)
    theatre.screen.want_key()
    theatre.screen.want_key()
    packets = theatre.play(20)
    assert sum(packet.is_keyframe for packet in packets) == 1


def test_frame_is_left_out_while_the_one_before_is_painted(theatre: Theatre) -> None:
    theatre.play(10)
    theatre.hear_noise(2.0)
    theatre.play(4)
    gate = threading.Event()
    theatre.studio.paint(gate.wait, 20)
    late = theatre.studio.count.late
    for _ in range(8):
        theatre.index += 1
        theatre.screen.tick(theatre.index)
    gate.set()
    theatre.finish_painting()
    assert theatre.studio.count.late - late == 3
    times = [packet.pts for packet in theatre.play(20)]
    assert times == sorted(times)
