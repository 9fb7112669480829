"""All that is kept of a user, read page by page as it is sent, and removed part by part."""

from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from digitalhuman.audit.v1 import audit_pb2
from digitalhuman.task.v1 import task_pb2 as pb
from gateway.backend.services import Backend
from gateway.contract.event_wire import from_conversation_event
from gateway.contract.json_model import JsonModel
from gateway.contract.people import (
    EndRecord,
    EventRecord,
    TaskRecord,
    TurnRecord,
    UsageRecord,
    from_call_facts,
)
from gateway.contract.turn_wire import from_turn
from gateway.contract.usage import from_usage_row
from gateway.contract.wire import from_task

PAGE = 200
LONGEST_DAYS = 3660
DAY = timedelta(days=1)


async def kept_of(
    backend: Backend, user_id: str, *, instance: str
) -> AsyncGenerator[JsonModel, None]:
    """Yield the records of a user, once the audit log has that they are asked for.

    `instance` is the path that the client asked, for the problems of turns that failed. Raises
    ServiceError.
    """
    await backend.ask(backend.audit.NoteUserExport, audit_pb2.NoteUserExportRequest())
    tasks = 0
    async for task in _tasks(backend, user_id):
        tasks += 1
        async for record in _of_task(backend, task.task_id, instance):
            yield record
    async for row in _usage(backend, user_id):
        yield UsageRecord(usage=from_usage_row(row))
    yield EndRecord(tasks=tasks)


async def erase(backend: Backend, user_id: str) -> int:
    """Remove all that is kept of a user, part by part; return how many tasks there were.

    Raises ServiceError; repeated, it goes on where it ended.
    """
    request = pb.EraseUserRequest(user_id=user_id, in_parts=True)
    tasks = 0
    while True:
        erased = await backend.ask(backend.task.EraseUser, request)
        tasks += erased.tasks
        if not erased.has_more:
            return tasks


async def _tasks(backend: Backend, user_id: str) -> AsyncIterator[pb.Task]:
    request = pb.ListTasksRequest(user_id=user_id, page_size=PAGE)
    while True:
        page = await backend.ask(backend.task.ListTasks, request)
        for task in page.tasks:
            yield task
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


async def _of_task(backend: Backend, task_id: str, instance: str) -> AsyncIterator[JsonModel]:
    known = await backend.ask(
        backend.task.GetTask, pb.GetTaskRequest(task_id=task_id, with_facts=True)
    )
    yield TaskRecord(task=from_task(known.task), call=from_call_facts(known.facts))
    request = pb.GetConversationRequest(task_id=task_id, after_sequence=0)
    while True:
        page = await backend.ask(backend.task.GetConversation, request)
        for turn in page.turns:
            yield TurnRecord(task_id=task_id, turn=from_turn(turn))
            request.after_turn_id = turn.turn_id
        for each in page.events:
            request.after_sequence = each.sequence
            event = from_conversation_event(each, instance=instance)
            if event is not None:
                yield EventRecord(task_id=task_id, event=event)
        if not page.has_more:
            return


async def _usage(backend: Backend, user_id: str) -> AsyncIterator[pb.UsageRow]:
    end = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + DAY
    request = pb.ListUsageRequest(
        start_time=_stamp(end - LONGEST_DAYS * DAY), end_time=_stamp(end), user_id=user_id
    )
    while True:
        page = await backend.ask(backend.task.ListUsage, request)
        for row in page.rows:
            yield row
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def _stamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
