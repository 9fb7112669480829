"""Time goes on evenly within a process, whatever is done to the wall clock."""

import time

import pytest

from digitalhuman.conversation.v1.conversation_pb2 import ConversationEvent
from services.runtime.clock import SteadyClock
from services.speech.conversation.event_log import EventLog
from services.speech.conversation.events import ReplyUpdated


@pytest.mark.parametrize("set_by_s", [3600.0, -3600.0])
def test_a_clock_that_is_set_goes_on_evenly(set_by_s: float) -> None:
    times = {"wall": 1_700_000_000.0, "steady": 500.0}
    clock = SteadyClock(wall=lambda: times["wall"], steady=lambda: times["steady"])
    assert (clock.time(), clock.jumped_s) == (1_700_000_000.0, 0.0)
    times["wall"] += set_by_s + 10
    times["steady"] += 10
    assert (clock.time(), clock.jumped_s) == (1_700_000_010.0, set_by_s)


@pytest.mark.parametrize("set_by_s", [3600, -3600])
async def test_events_of_one_process_are_as_far_apart_as_they_were(
    set_by_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall = time.time
    log = EventLog(recorder=None)
    with log.attached() as listener:
        log.publish(ReplyUpdated(delta="a"), turn_id=1)
        monkeypatch.setattr(time, "time", lambda: wall() + set_by_s)
        log.publish(ReplyUpdated(delta="b"), turn_id=1)
    items = [item async for item in listener.items()]
    before, after = (item for item in items if isinstance(item, ConversationEvent))
    apart_s = after.event_time.ToSeconds() - before.event_time.ToSeconds()
    assert 0 <= apart_s < abs(set_by_s) / 2
