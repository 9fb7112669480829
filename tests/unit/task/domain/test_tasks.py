"""The transitions of a task's life, its usage and its ids."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.failures.reasons import Reason
from services.task.domain.tasks import (
    LIVE_STATES,
    TRANSITIONS,
    Failure,
    IllegalTransition,
    StopReason,
    Task,
    TaskState,
    accepted,
    end_by_cloud,
    ended,
    failing,
    is_task_id,
    new_task_id,
    on_air,
    refused,
    stopped,
    stopping,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FAILURE = Failure(reason=Reason.AVATAR_START_FAILED, message="no")
TASK = Task(
    task_id="task_1",
    room_id="room",
    stream_id="stream",
    max_duration=timedelta(minutes=30),
    max_idle_duration=timedelta(minutes=2),
    create_time=NOW,
)

CREATING, STARTING, STREAMING, STOPPING, STOPPED, FAILED = TaskState
MOVES = {
    "accepted": (
        partial(accepted, avatar_id="a", digital_human_id="", at=NOW),
        {CREATING: STARTING, STOPPING: STOPPING},
    ),
    "refused": (partial(refused, failure=FAILURE, at=NOW), {CREATING: FAILED, STOPPING: STOPPED}),
    "on_air": (partial(on_air, at=NOW), {STARTING: STREAMING}),
    "failing": (
        partial(failing, failure=FAILURE),
        dict.fromkeys((CREATING, STARTING, STREAMING), STOPPING),
    ),
    "stopping": (
        partial(stopping, reason=StopReason.IDLE),
        {
            **dict.fromkeys((CREATING, STARTING, STREAMING, STOPPING), STOPPING),
            STOPPED: STOPPED,
            FAILED: FAILED,
        },
    ),
    "stopped": (partial(stopped, at=NOW), dict.fromkeys((STREAMING, STOPPING), STOPPED)),
    "ended": (
        partial(ended, reason=StopReason.CLOUD, at=NOW),
        {STREAMING: STOPPED, STOPPING: STOPPED},
    ),
}


@pytest.mark.parametrize("state", TaskState)
@pytest.mark.parametrize("name", MOVES)
def test_moves_lead_where_the_table_says(name: str, state: TaskState) -> None:
    move, destinations = MOVES[name]
    task = replace(TASK, state=state)
    if state in destinations:
        assert move(task).state is destinations[state]
    else:
        with pytest.raises(IllegalTransition):
            move(task)


def test_only_final_states_lead_nowhere() -> None:
    assert {state for state in TaskState if not TRANSITIONS[state]} == {STOPPED, FAILED}
    assert {CREATING, STARTING, STREAMING, STOPPING} == LIVE_STATES


def test_a_task_stopped_for_a_failure_has_failed() -> None:
    task = stopped(failing(replace(TASK, state=STARTING), failure=FAILURE), at=NOW)
    assert (task.state, task.failure, task.stop_time) == (FAILED, FAILURE, NOW)


def test_the_first_reason_to_stop_stays() -> None:
    task = stopping(TASK, reason=StopReason.CLIENT_GONE)
    assert stopping(task, reason=StopReason.REQUESTED) == task


@pytest.mark.parametrize(
    ("seconds", "billed"), [(0, 0), (0.001, 1), (1, 1), (1.2, 2), (59.999999, 60), (60, 60)]
)
def test_usage_counts_begun_seconds_from_acceptance(seconds: float, billed: int) -> None:
    task = accepted(TASK, avatar_id="a", digital_human_id="", at=NOW + timedelta(seconds=5))
    end = NOW + timedelta(seconds=5 + seconds)
    assert task.billable_seconds(end) == billed
    over = stopped(stopping(task, reason=StopReason.REQUESTED), at=end)
    assert over.billable_seconds(end + timedelta(hours=1)) == billed


def test_what_the_cloud_never_took_costs_nothing() -> None:
    assert TASK.billable_seconds(NOW + timedelta(hours=1)) == 0


@pytest.mark.parametrize(
    ("spoken_at", "now", "expected"),
    [
        (None, 60, (StopReason.CLOUD, 60)),
        (None, 114, (StopReason.CLOUD, 114)),
        (None, 116, (StopReason.IDLE, 116)),
        (None, 130, (StopReason.IDLE, 120)),
        (100, 130, (StopReason.CLOUD, 130)),
        (100, 230, (StopReason.IDLE, 220)),
        (1750, 1801, (StopReason.EXPIRED, 1800)),
        (1600, 1900, (StopReason.IDLE, 1720)),
    ],
)
def test_why_the_cloud_ended_a_task(
    spoken_at: int | None, now: int, expected: tuple[StopReason, int]
) -> None:
    spoken = None if spoken_at is None else NOW + timedelta(seconds=spoken_at)
    reason, at = end_by_cloud(
        replace(TASK, state=STREAMING, start_time=NOW),
        last_turn_time=spoken,
        now=NOW + timedelta(seconds=now),
    )
    assert (reason, at) == (expected[0], NOW + timedelta(seconds=expected[1]))


@given(st.lists(st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2200, 1, 1))))
def test_ids_sort_by_time(times: list[datetime]) -> None:
    moments = sorted(time.replace(tzinfo=UTC) for time in set(times))
    ids = [new_task_id(moment) for moment in moments]
    assert ids == sorted(ids)
    assert all(len(each) == 31 and is_task_id(each) for each in ids)


@pytest.mark.parametrize("text", ["", "task_", "task_1", "x" * 31, "task_" + "u" * 26, "0" * 26])
def test_other_texts_are_no_ids(text: str) -> None:
    assert not is_task_id(text)


def test_ids_of_one_moment_differ() -> None:
    assert len({new_task_id(NOW) for _ in range(1000)}) == 1000
