"""Audio leaves in a burst up to the lead, then at the pace at which it is played."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.avatar.lateness import Lateness
from services.avatar.pacing import Pacer, PacingClock, PacingProfile, Playout
from services.avatar.profiles import load_profile

RATE = 16_000
SECOND = RATE * 2
PROFILE = load_profile("zego")


def make_pacer(profile: PacingProfile = PROFILE) -> Pacer:
    return Pacer(profile, sample_rate_hertz=RATE)


def drain(pacer: Pacer, now: float) -> bytes:
    """All that may leave at one moment."""
    taken = b""
    while pcm := pacer.take(now):
        taken += pcm
    return taken


def test_the_burst_fills_the_lead() -> None:
    pacer = make_pacer()
    pacer.push(bytes(3 * SECOND))
    assert len(drain(pacer, 0.0)) == pytest.approx(0.6 * SECOND)


def test_after_the_burst_audio_leaves_as_fast_as_it_is_played() -> None:
    pacer = make_pacer()
    pacer.push(bytes(10 * SECOND))
    drain(pacer, 0.0)
    sent = sum(len(drain(pacer, tick / 50)) for tick in range(1, 5 * 50 + 1))
    assert sent / SECOND == pytest.approx(5 - PROFILE.start_delay_s, abs=PROFILE.packet_s)


def test_a_packet_is_no_longer_than_the_profile_says() -> None:
    pacer = make_pacer()
    pacer.push(bytes(SECOND))
    assert len(pacer.take(0.0)) == PROFILE.packet_s * SECOND


def test_the_first_audio_does_not_wait_for_a_full_packet() -> None:
    pacer = make_pacer()
    pacer.push(bytes(640))
    assert pacer.take(0.0) == bytes(640)


def test_while_the_cloud_has_enough_small_pieces_wait_for_more() -> None:
    pacer = make_pacer()
    pacer.push(bytes(SECOND // 5 * 2))
    drain(pacer, 0.0)
    pacer.push(bytes(640))
    assert pacer.take(0.0) == b""
    due_at = pacer.due_at()
    assert due_at is not None
    assert pacer.take(due_at) == bytes(640)


def test_the_last_piece_leaves_as_soon_as_there_is_room() -> None:
    pacer = make_pacer()
    pacer.push(bytes(SECOND // 5 * 2))
    drain(pacer, 0.0)
    pacer.push(bytes(640))
    pacer.complete()
    assert drain(pacer, 0.0) == bytes(640)
    assert pacer.is_drained


def test_a_pacer_with_nothing_to_send_has_no_due_time() -> None:
    pacer = make_pacer()
    assert pacer.due_at() is None
    assert not pacer.is_drained
    pacer.complete()
    assert pacer.is_drained


def test_the_backlog_is_bounded() -> None:
    pacer = make_pacer(replace(PROFILE, backlog_s=1))
    pacer.push(bytes(SECOND - 2))
    assert not pacer.is_full
    pacer.push(bytes(2))
    assert pacer.is_full


@given(
    pieces=st.lists(st.integers(1, 3000), max_size=40),
    steps=st.lists(st.floats(0, 0.5), min_size=1, max_size=40),
)
def test_nothing_is_lost_and_the_lead_is_never_exceeded(
    pieces: list[int], steps: list[float]
) -> None:
    pacer = make_pacer()
    pushed, taken, now = b"", b"", 0.0
    for number, step in enumerate(steps):
        for piece in pieces[number :: len(steps)]:
            pcm = bytes([number % 256]) * (2 * piece)
            pacer.push(pcm)
            pushed += pcm
        taken += drain(pacer, now)
        assert pacer.playout.unplayed_s(now) <= PROFILE.max_unplayed_s + 1e-9
        now += step
    pacer.complete()
    while (due_at := pacer.due_at()) is not None:
        now = max(now, due_at)
        taken += drain(pacer, now)
    assert taken == pushed
    assert pacer.is_drained


def test_playback_begins_after_the_start_delay_and_follows_the_clock() -> None:
    playout = Playout(start_delay_s=0.1)
    playout.send(1.0, now=5.0)
    assert playout.starts_at == 5.1
    assert playout.played_s(5.05) == 0
    assert playout.played_s(5.6) == pytest.approx(0.5)
    assert playout.played_s(9) == 1.0


def test_after_a_gap_playback_begins_anew() -> None:
    playout = Playout(start_delay_s=0.1)
    playout.send(0.5, now=0.0)
    playout.send(0.5, now=2.0)
    assert playout.played_s(2.05) == pytest.approx(0.5)
    assert playout.played_s(2.3) == pytest.approx(0.7)
    assert playout.ends_at == pytest.approx(2.6)


@given(
    sends=st.lists(st.tuples(st.floats(0, 2), st.floats(0.01, 1)), min_size=1, max_size=20),
    start_delay_s=st.floats(0, 0.5),
)
def test_what_was_played_never_goes_back(
    sends: list[tuple[float, float]], start_delay_s: float
) -> None:
    playout, now, played_s = Playout(start_delay_s), 0.0, 0.0
    for pause_s, audio_s in sends:
        now += pause_s
        for _ in range(2):
            assert played_s - 1e-9 <= playout.played_s(now) <= playout.sent_s + 1e-9
            played_s = playout.played_s(now)
            playout.send(audio_s / 2, now)


def test_the_clouds_word_corrects_the_clock() -> None:
    playout = Playout(start_delay_s=0.1)
    playout.send(1.0, now=0.0)
    playout.confirm_start(0.4)
    assert playout.starts_at == 0.4
    assert playout.played_s(0.6) == pytest.approx(0.2)
    assert playout.ends_at == pytest.approx(1.4)


def test_a_word_that_was_long_under_way_corrects_nothing() -> None:
    playout = Playout(start_delay_s=0.1)
    playout.send(5.0, now=0.0)
    playout.confirm_start(2.3)
    assert playout.starts_at == 0.1


def test_the_clouds_first_word_counts() -> None:
    playout = Playout(start_delay_s=0.1)
    playout.send(1.0, now=0.0)
    for at in (0.2, 0.9, 0.3):
        playout.confirm_start(at)
    assert playout.starts_at == 0.2
    assert playout.ends_at == pytest.approx(1.2)


def test_a_report_that_was_held_up_tells_when_it_happened() -> None:
    # The cloud's clock is 100 s behind, the quickest way takes 50 ms.
    lateness = Lateness()
    assert lateness.of(event_time_s=0.0, received_s=100.05) == 0
    assert lateness.of(event_time_s=1.0, received_s=103.05) == pytest.approx(2)
    playout = Playout(start_delay_s=0.1)
    playout.send(5.0, now=10.0)
    late_s = lateness.of(event_time_s=10.3, received_s=112.35)
    playout.confirm_start(12.3 - late_s)
    assert playout.starts_at == pytest.approx(10.3)


def test_at_the_speed_of_speech_nothing_bursts_and_late_ticks_are_made_up_for() -> None:
    pacer = make_pacer(load_profile("conservative"))
    pacer.push(bytes(10 * SECOND))
    assert len(drain(pacer, 0.0)) == 0.1 * SECOND
    # Ticks that are up to 60 ms late.
    sent = sum(len(drain(pacer, tick * 0.06)) for tick in range(1, 51))
    assert sent / SECOND == pytest.approx(3.0, abs=0.15)
    # A caller who paused does not get the pause back in a burst.
    assert len(drain(pacer, 6.0)) == 0.1 * SECOND


def test_a_cut_freezes_the_position() -> None:
    playout = Playout(start_delay_s=0.0)
    playout.send(1.0, now=0.0)
    playout.cut(0.25)
    playout.cut(0.75)
    assert playout.is_cut
    assert playout.played_s(9) == pytest.approx(0.25)


async def test_one_clock_wakes_all_whose_time_has_come() -> None:
    now = 0.0
    clock = PacingClock(tick_s=0, clock=lambda: now)
    ticking = asyncio.create_task(clock.run())
    soon, late = asyncio.Event(), asyncio.Event()
    waiting = [
        asyncio.create_task(clock.wait(soon, 1.0)),
        asyncio.create_task(clock.wait(late, 2.0)),
    ]
    now = 1.5
    await asyncio.wait_for(waiting[0], 5)
    assert not waiting[1].done()
    now = 2.5
    await asyncio.wait_for(waiting[1], 5)
    assert not soon.is_set()
    ticking.cancel()
    await asyncio.gather(ticking, return_exceptions=True)


async def test_a_waiter_is_woken_before_its_time_by_its_event() -> None:
    clock = PacingClock(clock=lambda: 0.0)
    wake = asyncio.Event()
    waiting = asyncio.create_task(clock.wait(wake, None))
    await asyncio.sleep(0)
    wake.set()
    await asyncio.wait_for(waiting, 5)
    assert not wake.is_set()
