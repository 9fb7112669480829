"""Reports on usage, and what was said being removed on request and by age."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from digitalhuman.conversation.v1 import conversation_pb2 as talk
from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from services.runtime.failures.reasons import Reason
from tests.support.task import ManualClock
from tests.support.task_calls import (
    OpenService,
    append,
    create_streaming,
    error_of,
    event,
    get,
    serving_tasks,
    stop,
    watching,
)

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
SECRET = "the combination is 1-2-3"


def stamp(time: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(time)
    return made


async def usage(
    tasks: TaskServiceStub, *, start: datetime = FIRST, days: float = 31, **fields: Any
) -> pb.ListUsageResponse:
    request = pb.ListUsageRequest(
        start_time=stamp(start), end_time=stamp(start + timedelta(days=days)), **fields
    )
    return await tasks.ListUsage(request)


USED = [
    talk.ProviderUsage(
        stage=talk.PROVIDER_STAGE_CHAT,
        provider="brain",
        input_tokens=90,
        output_tokens=10,
        currency="EUR",
        cost_micros=77,
    ),
    talk.ProviderUsage(
        stage=talk.PROVIDER_STAGE_RECOGNITION, provider="ears", audio_duration=Duration(seconds=2)
    ),
    talk.ProviderUsage(
        stage=talk.PROVIDER_STAGE_SYNTHESIS,
        provider="mouth",
        characters=12,
        audio_duration=Duration(seconds=9),
    ),
]


async def test_what_a_turn_used_is_in_its_record_and_in_the_report(
    open_service: OpenService,
) -> None:
    tasks = await open_service(clock=ManualClock())
    task = await create_streaming(tasks, "stream", user_id="ann")
    failed = talk.TurnFailed(usage=USED[1:])
    await append(
        tasks,
        task.task_id,
        event(1, 1, turn_finished=talk.TurnFinished(usage=USED)),
        event(2, 2, turn_failed=failed),
    )
    turn = await tasks.GetTurn(pb.GetTurnRequest(task_id=task.task_id, turn_id=1))
    assert list(turn.usage) == USED
    [row] = (await usage(tasks)).rows
    assert list(row.providers) == [
        pb.ProviderTotals(characters=24, recognized_duration=Duration(seconds=4)),
        pb.ProviderTotals(
            currency="EUR",
            cost_micros=77,
            input_tokens=90,
            output_tokens=10,
            recognized_duration=Duration(),
        ),
    ]


async def said(tasks: TaskServiceStub, stream_id: str, **fields: Any) -> pb.Task:
    """Create a task in which something is said, and stop it."""
    task = await create_streaming(tasks, stream_id, **fields)
    started = talk.TurnStarted(user_text=SECRET)
    finished = talk.TurnFinished(reply_text="I see.", heard_text="I see.")
    await append(
        tasks,
        task.task_id,
        event(1, 1, turn_started=started),
        event(2, 1, turn_finished=finished),
    )
    return await stop(tasks, task.task_id)


async def test_usage_comes_in_pages(open_service: OpenService) -> None:
    tasks = await open_service(clock=ManualClock())
    for user in ("ann", "bob.", "=1+1"):
        await said(tasks, user.strip("=.").replace("+", ""), user_id=user)
    rows: list[pb.UsageRow] = []
    token = ""
    while True:
        page = await usage(tasks, page_size=1, page_token=token)
        rows += page.rows
        token = page.next_page_token
        if not token:
            break
    assert {row.user_id for row in rows} == {"ann", "bob.", "=1+1"}
    assert [(row.tasks, row.turns, row.billable_seconds) for row in rows] == [(1, 1, 1)] * 3
    assert all(row.day.ToDatetime(tzinfo=UTC) == FIRST for row in rows)
    by_task = await usage(tasks, group_by=pb.USAGE_GROUPING_TASK, user_id="ann")
    assert [(row.user_id, row.turns) for row in by_task.rows] == [("ann", 1)]
    assert by_task.rows[0].task_id.startswith("task_")
    other = await error_of(usage(tasks, page_token="bm9wZQ"))
    assert [each.field for each in other.violations] == ["page_token"]


@pytest.mark.parametrize(
    ("field", "start", "days"),
    [
        ("start_time", FIRST + timedelta(seconds=1), 1),
        ("end_time", FIRST, 0.5),
        ("end_time", FIRST, 0),
        ("end_time", FIRST, -1),
        ("end_time", FIRST, 3661),
    ],
)
async def test_a_report_is_for_whole_days(
    tasks: TaskServiceStub, field: str, start: datetime, days: float
) -> None:
    error = await error_of(usage(tasks, start=start, days=days))
    assert error.reason is Reason.INVALID_REQUEST
    assert field in [each.field for each in error.violations]


async def test_what_was_said_is_removed_at_once(open_service: OpenService, tmp_path: Path) -> None:
    tasks = await open_service(clock=ManualClock(), database=tmp_path / "tasks.sqlite3")
    task = await said(tasks, "stream", user_id="ann")
    files = (tmp_path / "tasks.sqlite3", tmp_path / "tasks.sqlite3-wal")
    assert any(SECRET.encode() in file.read_bytes() for file in files if file.exists())
    wanted = pb.DeleteConversationRequest(task_id=task.task_id)
    await tasks.DeleteConversation(wanted)
    await tasks.DeleteConversation(wanted)
    assert not any(SECRET.encode() in file.read_bytes() for file in files if file.exists())
    conversation = await tasks.GetConversation(
        pb.GetConversationRequest(task_id=task.task_id, after_sequence=0)
    )
    assert not conversation.turns
    assert not conversation.events
    assert await get(tasks, task.task_id) == task
    [row] = (await usage(tasks)).rows
    assert row.turns == 1
    async with watching(tasks, task.task_id) as updates:
        seen = [update async for update in updates]
    assert seen[-1].event.state_changed.task.state == pb.TASK_STATE_STOPPED
    assert not any(update.event.HasField("conversation_event") for update in seen)


async def test_what_is_said_in_a_live_task_is_not_removed(tasks: TaskServiceStub) -> None:
    task = await create_streaming(tasks)
    error = await error_of(
        tasks.DeleteConversation(pb.DeleteConversationRequest(task_id=task.task_id))
    )
    assert error.reason is Reason.TASK_NOT_ENDED


async def test_old_tasks_are_removed_and_their_usage_is_kept(tmp_path: Path) -> None:
    clock = ManualClock()
    database = tmp_path / "tasks.sqlite3"
    async with serving_tasks(clock=clock, database=database) as tasks:
        task = await said(tasks, "old", user_id="ann")
        before = await usage(tasks)
        assert before.rows
        clock.advance(timedelta(days=8).total_seconds())
    async with serving_tasks(clock=clock, database=database, keep_conversation_days=7) as tasks:
        get_conversation = pb.GetConversationRequest(task_id=task.task_id)
        while True:
            if not (await tasks.GetConversation(get_conversation)).turns:
                break
            await asyncio.sleep(0.02)
        assert await get(tasks, task.task_id) == task
        assert await usage(tasks) == before
    async with serving_tasks(clock=clock, database=database, keep_days=7) as tasks:
        while True:
            if not (await tasks.ListTasks(pb.ListTasksRequest())).tasks:
                break
            await asyncio.sleep(0.02)
        assert await usage(tasks) == before
        assert not (await usage(tasks, group_by=pb.USAGE_GROUPING_TASK)).rows


@pytest.mark.parametrize(
    "no_time",
    [
        Timestamp(seconds=1, nanos=-1),
        Timestamp(seconds=-800_000 * 86_400),
        Timestamp(seconds=3_000_000 * 86_400),
        Timestamp(seconds=10**13 * 86_400),
    ],
)
@pytest.mark.parametrize("field", ["start_time", "end_time"])
async def test_a_report_is_between_times(
    tasks: TaskServiceStub, field: str, no_time: Timestamp
) -> None:
    request = pb.ListUsageRequest(start_time=stamp(FIRST), end_time=stamp(FIRST))
    getattr(request, field).CopyFrom(no_time)
    error = await error_of(tasks.ListUsage(request))
    assert error.reason is Reason.INVALID_REQUEST
    assert [each.field for each in error.violations] == [field]


async def test_a_report_may_end_with_the_last_of_all_days(tasks: TaskServiceStub) -> None:
    page = await usage(tasks, start=datetime(9999, 12, 30, tzinfo=UTC), days=1)
    assert not page.rows
