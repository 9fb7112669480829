"""AppendEvents and GetConversation: the record of what was said."""

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import status_pb2

from digitalhuman.conversation.v1 import conversation_pb2 as talk
from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from services.runtime.channels.replicas import Replicas
from services.runtime.failures.reasons import Reason
from services.speech.conversation.task_records import TaskRecords
from tests.support.task import ManualClock, ScriptedCloud
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

STARTED = {
    "turn_started": talk.TurnStarted(
        origin=talk.TURN_ORIGIN_SPEECH, user_text="What is it?", language_code="en"
    )
}
FINISHED = {
    "turn_finished": talk.TurnFinished(
        reply_text="It is a clock.",
        heard_text="It is",
        interrupted=True,
        ledger=talk.LedgerSummary(
            sentence_count=1, played_duration=Duration(seconds=1), confidence=0.9
        ),
        latency=talk.LatencyWaterfall(endpoint_offset=Duration(nanos=5)),
    )
}
FAILED = {
    "turn_failed": talk.TurnFailed(
        status=status_pb2.Status(code=14, message="no voice"), reply_text="It", heard_text=""
    )
}


def delta(text: str) -> dict[str, object]:
    return {"reply_updated": talk.ReplyUpdated(delta=text)}


async def read(
    tasks: TaskServiceStub, task_id: str, after: int | None = None
) -> pb.GetConversationResponse:
    request = pb.GetConversationRequest(task_id=task_id, after_sequence=after)
    return await tasks.GetConversation(request)


async def test_a_long_conversation_comes_in_pages(tasks: TaskServiceStub) -> None:
    task = await create_streaming(tasks)
    words = "word " * 40_000
    sequence = 0
    for turn_id in range(1, 26):
        told = [
            event(sequence + 1, turn_id, **STARTED),
            event(sequence + 2, turn_id, **delta(words)),
            event(sequence + 3, turn_id, **FINISHED),
        ]
        await append(tasks, task.task_id, *told)
        sequence += 3
    events: list[talk.ConversationEvent] = []
    turns: list[pb.Turn] = []
    has_more, pages = True, 0
    while has_more:
        page = await tasks.GetConversation(
            pb.GetConversationRequest(
                task_id=task.task_id,
                after_sequence=events[-1].sequence if events else 0,
                after_turn_id=turns[-1].turn_id if turns else 0,
            )
        )
        events += page.events
        turns += page.turns
        has_more = page.has_more
        pages += 1
        assert page.last_sequence == sequence
    assert [each.sequence for each in events] == list(range(1, sequence + 1))
    assert [each.turn_id for each in turns] == list(range(1, 26))
    assert sum(each.ByteSize() for each in events) > 4 << 20
    assert pages > 1
    # Speech takes it up again.
    served = cast(Replicas[TaskServiceStub], SimpleNamespace(any=tasks))
    records = TaskRecords(served, service_token=None)
    assert list(await records.events_after(task.task_id, 0)) == events
    past = await records.recorded(task.task_id)
    assert (past.last_turn_id, past.last_sequence, len(past.exchanges)) == (25, sequence, 25)


async def test_turns_follow_from_the_events(tasks: TaskServiceStub) -> None:
    task = await create_streaming(tasks)
    times = [Timestamp(seconds=1_800_000_000 + second) for second in range(4)]
    events = [
        event(1),
        event(2, 1, event_time=times[0], **STARTED),
        event(3, 1, event_time=times[1], **FINISHED),
        event(4, 2, event_time=times[2], **STARTED),
        event(5, 2, **delta("It ")),
        event(6, 2, **delta("is")),
        event(7, 3, event_time=times[3], **STARTED),
        event(8, 3, event_time=times[3], **FAILED),
    ]
    await append(tasks, task.task_id, *events)
    conversation = await read(tasks, task.task_id, after=6)
    assert conversation.last_sequence == 8
    assert list(conversation.events) == events[6:]
    finished, running, failed = conversation.turns
    assert finished == pb.Turn(
        turn_id=1,
        origin=talk.TURN_ORIGIN_SPEECH,
        user_text="What is it?",
        reply_text="It is a clock.",
        heard_text="It is",
        interrupted=True,
        language_code="en",
        start_time=times[0],
        finish_time=times[1],
        ledger=FINISHED["turn_finished"].ledger,
        latency=FINISHED["turn_finished"].latency,
    )
    assert (running.turn_id, running.reply_text) == (2, "It is")
    assert not running.HasField("finish_time")
    assert (failed.failure.message, failed.reply_text) == ("no voice", "It")
    assert failed.HasField("finish_time")
    assert not failed.HasField("ledger")


async def test_a_turn_has_the_ledger_that_closed_it(tasks: TaskServiceStub) -> None:
    task = await create_streaming(tasks)
    segments = [
        talk.LedgerSegment(spoken_text="It is", text_end=5, heard_end=5),
        talk.LedgerSegment(spoken_text="a clock.", text_start=6, text_end=14, heard_end=6),
    ]
    finished, failed = talk.TurnFinished(), talk.TurnFailed()
    finished.CopyFrom(FINISHED["turn_finished"])
    finished.segments.extend(segments)
    failed.CopyFrom(FAILED["turn_failed"])
    failed.ledger.sentence_count = 1
    failed.segments.extend(segments[:1])
    await append(
        tasks,
        task.task_id,
        event(1, 1, **STARTED),
        event(2, 1, turn_finished=finished),
        event(3, 2, **STARTED),
        event(4, 2, turn_failed=failed),
        event(5, 3, **STARTED),
    )
    told = [
        await tasks.GetTurn(pb.GetTurnRequest(task_id=task.task_id, turn_id=turn_id))
        for turn_id in (1, 2, 3)
    ]
    assert [each.turn for each in told] == list((await read(tasks, task.task_id)).turns)
    assert [list(each.segments) for each in told] == [segments, segments[:1], []]
    assert told[1].turn.ledger.sentence_count == 1
    unknown = pb.GetTurnRequest(task_id=task.task_id, turn_id=4)
    assert (await error_of(tasks.GetTurn(unknown))).reason is Reason.TURN_NOT_FOUND
    unknown.task_id = "task_unknown"
    assert (await error_of(tasks.GetTurn(unknown))).reason is Reason.TASK_NOT_FOUND


async def test_an_empty_conversation(tasks: TaskServiceStub) -> None:
    task = await create_streaming(tasks)
    assert await read(tasks, task.task_id, after=0) == pb.GetConversationResponse()


async def test_appending_again_changes_nothing(tasks: TaskServiceStub) -> None:
    task = await create_streaming(tasks)
    first, second = event(1, 1, **STARTED), event(2, 1, **delta("It"))
    await append(tasks, task.task_id, first, second)
    before = await read(tasks, task.task_id, after=0)
    for events in ([first], [second], [first, second], [second, first]):
        assert (await append(tasks, task.task_id, *events)).last_sequence == 2
    assert await read(tasks, task.task_id, after=0) == before
    overlapping = [second, event(3, 1, **delta(" is"))]
    assert (await append(tasks, task.task_id, *overlapping)).last_sequence == 3
    assert (await read(tasks, task.task_id)).turns[0].reply_text == "It is"


@pytest.mark.parametrize(
    ("sequences", "last"), [((4,), 2), ((3, 5), 2), ((1, 2, 4), 2), ((9, 3), 2)]
)
async def test_a_gap_is_refused_whole(
    tasks: TaskServiceStub, sequences: tuple[int, ...], last: int
) -> None:
    task = await create_streaming(tasks)
    await append(tasks, task.task_id, event(1), event(2))
    error = await error_of(append(tasks, task.task_id, *map(event, sequences)))
    assert error.reason is Reason.EVENTS_OUT_OF_ORDER
    assert (await read(tasks, task.task_id)).last_sequence == 2


async def test_the_refusal_of_a_gap_says_where_to_go_on(tasks: TaskServiceStub) -> None:
    task = await create_streaming(tasks)
    await append(tasks, task.task_id, event(1))
    error = await error_of(append(tasks, task.task_id, event(3)))
    assert error.metadata == {"last_sequence": "1"}


async def test_simultaneous_appends_of_the_same_events_write_them_once(
    tasks: TaskServiceStub,
) -> None:
    task = await create_streaming(tasks)
    events = [event(sequence, 1, **delta("x")) for sequence in range(1, 21)]
    answers = await asyncio.gather(*(append(tasks, task.task_id, *events) for _ in range(10)))
    assert {answer.last_sequence for answer in answers} == {20}
    [turn] = (await read(tasks, task.task_id)).turns
    assert turn.reply_text == "x" * 20


async def test_a_turn_that_was_running_may_be_closed_after_the_end(
    tasks: TaskServiceStub,
) -> None:
    task = await create_streaming(tasks)
    started = event(1, 1, **STARTED)
    await append(tasks, task.task_id, started)
    await stop(tasks, task.task_id)
    assert (await append(tasks, task.task_id, started)).last_sequence == 1
    closing = [event(2, 1, **delta("It")), event(3, 1, **FAILED)]
    assert (await append(tasks, task.task_id, *closing)).last_sequence == 3
    assert (await read(tasks, task.task_id)).turns[0].HasField("finish_time")
    async with watching(tasks, task.task_id) as updates:
        assert [each.event.sequence async for each in updates] == list(range(8 + 1))


async def test_what_happened_before_the_end_is_recorded_after_it(tasks: TaskServiceStub) -> None:
    """The cloud may end a task in the moment between a turn and its record."""
    task = await create_streaming(tasks)
    begun = Timestamp()
    begun.GetCurrentTime()
    await stop(tasks, task.task_id)
    turn = [event(1, 1, event_time=begun, **STARTED), event(2, 1, **FAILED)]
    assert (await append(tasks, task.task_id, *turn)).last_sequence == 2


@pytest.mark.parametrize(
    "late",
    [event(2), event(2, 2, **STARTED), event(2, 2, **FINISHED), event(2, 1, **FINISHED)],
)
async def test_nothing_else_is_recorded_after_the_end(
    tasks: TaskServiceStub, late: talk.ConversationEvent
) -> None:
    task = await create_streaming(tasks)
    is_closed = late.turn_id == 1
    await append(tasks, task.task_id, event(1, 1, **(FINISHED if is_closed else STARTED)))
    await stop(tasks, task.task_id)
    error = await error_of(append(tasks, task.task_id, late))
    assert error.reason is Reason.TASK_ENDED
    assert (await read(tasks, task.task_id)).last_sequence == 1


async def test_long_after_the_end_a_turn_is_not_closed_any_more(open_service: OpenService) -> None:
    clock = ManualClock()
    # No sweep closes it meanwhile.
    tasks = await open_service(clock=clock, sweep_interval_s=3600)
    task = await create_streaming(tasks)
    await append(tasks, task.task_id, event(1, 1, **STARTED))
    await stop(tasks, task.task_id)
    clock.advance(31)
    error = await error_of(append(tasks, task.task_id, event(2, 1, **FINISHED)))
    assert error.reason is Reason.TASK_ENDED


async def test_unknown_events_are_kept_as_they_came(tasks: TaskServiceStub) -> None:
    task = await create_streaming(tasks)
    strange = talk.ConversationEvent.FromString(
        event(1, 1).SerializeToString() + bytes([0b11111010, 0b01, 3]) + b"new"
    )
    await append(tasks, task.task_id, strange)
    [kept] = (await read(tasks, task.task_id, after=0)).events
    assert kept.SerializeToString() == strange.SerializeToString()


async def test_a_conversation_outlives_the_process(cloud: ScriptedCloud, tmp_path: object) -> None:
    database = f"{tmp_path}/tasks.sqlite3"
    async with serving_tasks(cloud, database=database) as tasks:
        task = await create_streaming(tasks)
        await append(tasks, task.task_id, event(1, 1, **STARTED), event(2, 1, **FINISHED))
        before = await read(tasks, task.task_id, after=0)
    async with serving_tasks(cloud, database=database) as tasks:
        assert await read(tasks, task.task_id, after=0) == before
        assert (await get(tasks, task.task_id)).state == pb.TASK_STATE_STREAMING
