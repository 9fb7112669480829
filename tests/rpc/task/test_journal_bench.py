"""What bench.journal measures: a recording replayed as the speech service writes conversations."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import grpc
import pytest

from bench.journal.avatars import serving_avatars
from bench.journal.database import opened
from bench.journal.load import Conversations, RecordedTurn, turns_of
from bench.journal.recording import recorded
from digitalhuman.conversation.v1 import conversation_pb2 as talk
from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from tests.support.compose import free_ports
from tests.support.task import task_service

EVENTS = (
    talk.ConversationEvent(transcript_updated=talk.TranscriptUpdated(text="Hi.", is_final=True)),
    talk.ConversationEvent(turn_id=1, turn_started=talk.TurnStarted(user_text="Hi.")),
    talk.ConversationEvent(turn_id=1, reply_updated=talk.ReplyUpdated(delta="Hello")),
    talk.ConversationEvent(turn_id=1, reply_updated=talk.ReplyUpdated(delta=" there.")),
    talk.ConversationEvent(turn_id=1, turn_finished=talk.TurnFinished(reply_text="Hello there.")),
)
SHORT = RecordedTurn(
    events=[(number / 100, event) for number, event in enumerate(EVENTS)], seconds=0.1
)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "tasks.sqlite3"


@pytest.fixture
async def tasks(database: Path) -> AsyncIterator[TaskServiceStub]:
    [port] = map(int, free_ports(1))
    async with (
        serving_avatars(port),
        task_service(avatar_target=f"127.0.0.1:{port}", database=database) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield TaskServiceStub(channel)


async def test_what_is_replayed_is_on_record_and_seen_by_watchers(tasks: TaskServiceStub) -> None:
    conversations = Conversations(tasks, [SHORT])

    async with conversations.talking(2, watchers=1):
        await _until_finished(tasks, turns=3)

    load = conversations.load
    page = await tasks.ListTasks(pb.ListTasksRequest())
    turns = [turn for task in page.tasks for turn in await _turns(tasks, task.task_id)]
    whole = [turn for turn in turns if turn.reply_text == "Hello there."]
    assert len(page.tasks) == 2
    assert len(whole) >= 2 * 3
    # The last batch may be on record without its answer.
    assert 0 < load.events <= len(EVENTS) * len(turns)
    assert load.watched_events > 0
    assert {task.state for task in page.tasks} == {pb.TASK_STATE_STOPPED}


async def test_the_database_tells_how_much_was_written(
    tasks: TaskServiceStub, database: Path
) -> None:
    conversations = Conversations(tasks, [SHORT])

    async with opened(str(database)) as outside:
        before = await outside.read()
        async with conversations.talking(1, watchers=0):
            await _until_finished(tasks, turns=3)
        after = await outside.read()

    assert after.writes - before.writes >= len(conversations.load.append_s) > 0
    assert after.stored_bytes >= before.stored_bytes > 0


def test_the_recording_has_whole_turns_of_a_natural_length() -> None:
    events = recorded()
    turns = turns_of(events)

    assert len(turns) >= 5
    assert sum(len(turn.events) for turn in turns) == len(events)
    assert all(3 < turn.seconds < 60 for turn in turns)


async def _until_finished(tasks: TaskServiceStub, *, turns: int) -> None:
    """Wait until so many turns of every task are on record."""
    page = await tasks.ListTasks(pb.ListTasksRequest())
    for task in page.tasks:
        watch = tasks.WatchTask(pb.WatchTaskRequest(task_id=task.task_id, after_sequence=0))
        finished = 0
        while finished < turns:
            update = await watch.read()
            assert isinstance(update, pb.WatchTaskResponse)
            finished += update.event.conversation_event.HasField("turn_finished")
        watch.cancel()
        await watch.code()


async def _turns(tasks: TaskServiceStub, task_id: str) -> Sequence[pb.Turn]:
    request = pb.GetConversationRequest(task_id=task_id)
    answer: pb.GetConversationResponse = await tasks.GetConversation(request)
    return answer.turns
