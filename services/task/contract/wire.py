"""The task service's messages to values of its domain, and back."""

import hashlib
from copy import deepcopy
from datetime import datetime, timedelta
from typing import assert_never

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import status_pb2

from digitalhuman.conversation.v1 import conversation_pb2
from digitalhuman.task.v1 import task_pb2 as pb
from services.runtime.callers.caller import current_caller
from services.runtime.callers.names import in_cloud
from services.runtime.failures.errors import ServiceError, invalid, to_status
from services.runtime.wire import from_duration, to_duration, to_timestamp
from services.task.domain.conversation import (
    RecordedTurn,
    TaskEvent,
    Turn,
)
from services.task.domain.tasks import Failure, StopReason, Task, TaskState, new_task_id
from services.task.event_wire import to_conversation_event
from services.task.ports.logs import Snapshot
from services.task.ports.search import TaskFilter
from services.task.ports.tasks import Request
from services.task.whole_tenant import require_deployment


def from_create_request(
    request: pb.CreateTaskRequest,
    *,
    max_duration: timedelta,
    max_idle_duration: timedelta,
    now: datetime,
) -> Task:
    """Return the new task that a request asks for; the durations apply where it names none.

    It belongs to the caller. Raises ServiceError with INVALID_REQUEST for names that are not its.
    """
    caller = current_caller()
    return Task(
        task_id=new_task_id(now),
        tenant_id=caller.tenant_id,
        room_id=in_cloud(request.room_id, caller, field="room_id"),
        stream_id=in_cloud(request.stream_id, caller, field="stream_id"),
        digital_human_id=request.digital_human_id or request.default_digital_human_id,
        persona_id=request.persona_id,
        language_code=request.language_code,
        user_id=_owner(request),
        background_color=request.background_color,
        max_duration=_from_whole_seconds(request.max_duration) or max_duration,
        max_idle_duration=_from_whole_seconds(request.max_idle_duration) or max_idle_duration,
        max_absence=_from_whole_seconds(request.max_absence) or None,
        create_time=now,
        seen_time=now if request.HasField("max_absence") else None,
        claim_by=now + timedelta(seconds=from_duration(request.claim_timeout))
        if request.HasField("claim_timeout")
        else None,
    )


def check_durations(request: pb.CreateTaskRequest, longest: timedelta) -> None:
    """Raise ServiceError with INVALID_REQUEST if a task is to last, or to idle, for longer."""
    for field in ("max_duration", "max_idle_duration"):
        if _from_whole_seconds(getattr(request, field)) > longest:
            seconds = f"{longest.total_seconds():g}"
            raise invalid(field, "duration.longest", f"must be at most {seconds} seconds here")


def from_request_id(message: pb.CreateTaskRequest | pb.StopTaskRequest) -> Request | None:
    """Return what makes a call repeatable, or None when it has no request id."""
    if not message.request_id:
        return None
    body = deepcopy(message)
    body.ClearField("request_id")
    if isinstance(body, pb.CreateTaskRequest):
        body.ClearField("default_digital_human_id")
        body.ClearField("claim_timeout")
        body.user_id = _owner(body)
    digest = hashlib.sha256(message.DESCRIPTOR.full_name.encode())
    digest.update(body.SerializeToString(deterministic=True))
    return Request(
        tenant_id=current_caller().tenant_id,
        request_id=message.request_id.lower(),
        digest=digest.digest(),
    )


def _owner(request: pb.CreateTaskRequest) -> str:
    """Return the user whose task a request wants. Raises ServiceError with INVALID_REQUEST."""
    own = current_caller().user_id
    if own and request.user_id not in ("", own):
        raise invalid("user_id", "own", "must be the caller's own, or absent")
    return request.user_id or own


def from_stop_reason(reason: pb.StopReason.ValueType) -> StopReason:
    """Return a stop reason; an unset one is REQUESTED."""
    if reason == pb.STOP_REASON_UNSPECIFIED:
        return StopReason.REQUESTED
    return StopReason(pb.StopReason.Name(reason).removeprefix("STOP_REASON_"))


def from_list_request(request: pb.ListTasksRequest) -> TaskFilter:
    """Return which tasks a request wants. Raises ServiceError with PERMISSION_DENIED."""
    if request.every_tenant:
        require_deployment()
    return TaskFilter(
        states=tuple(
            TaskState(pb.TaskState.Name(state).removeprefix("TASK_STATE_"))
            for state in request.states
        ),
        user_id=request.user_id,
        avatar_id=request.avatar_id,
        is_of_every_tenant=request.every_tenant,
    )


def to_task(task: Task, now: datetime) -> pb.Task:
    """Return a task, with its usage up to `now`."""
    message = pb.Task(
        task_id=task.task_id,
        tenant_id=task.tenant_id,
        state=pb.TaskState.Value(f"TASK_STATE_{task.state}"),
        room_id=task.room_id,
        stream_id=task.stream_id,
        digital_human_id=task.digital_human_id,
        persona_id=task.persona_id,
        language_code=task.language_code,
        user_id=task.user_id,
        background_color=task.background_color,
        avatar_id=task.avatar_id,
        max_duration=to_duration(task.max_duration.total_seconds()),
        max_idle_duration=to_duration(task.max_idle_duration.total_seconds()),
        create_time=to_timestamp(task.create_time.timestamp()),
        start_time=_to_optional_timestamp(task.start_time),
        stop_time=_to_optional_timestamp(task.stop_time),
        failure=_to_failure(task.failure),
        max_absence=_to_optional_duration(task.max_absence),
    )
    if task.stop_reason is not None:
        message.stop_reason = pb.StopReason.Value(f"STOP_REASON_{task.stop_reason}")
    if task.accept_time is not None:
        message.usage.CopyFrom(
            pb.Usage(
                start_time=to_timestamp(task.accept_time.timestamp()),
                stop_time=_to_optional_timestamp(task.stop_time),
                billable_seconds=task.billable_seconds(now),
            )
        )
    return message


def to_update(update: Snapshot | TaskEvent, now: datetime) -> pb.WatchTaskResponse:
    """Return what a watcher receives."""
    match update:
        case Snapshot(task=task, last_sequence=last_sequence):
            snapshot = pb.TaskSnapshot(task=to_task(task, now), last_sequence=last_sequence)
            return pb.WatchTaskResponse(snapshot=snapshot)
        case TaskEvent(sequence=sequence, time=time, content=content):
            event = pb.TaskEvent(sequence=sequence, event_time=to_timestamp(time.timestamp()))
            if isinstance(content, Task):
                event.state_changed.task.CopyFrom(to_task(content, time))
            else:
                event.conversation_event.MergeFromString(content)
            return pb.WatchTaskResponse(event=event)
        case unknown:
            assert_never(unknown)


def to_turn(turn: Turn) -> pb.Turn:
    """Return a turn."""
    message = pb.Turn(
        turn_id=turn.turn_id,
        origin=conversation_pb2.TurnOrigin.ValueType(turn.origin),
        user_text=turn.user_text,
        reply_text=turn.reply_text,
        heard_text=turn.heard_text,
        interrupted=turn.is_interrupted,
        language_code=turn.language_code,
        start_time=to_timestamp(turn.start_time.timestamp()),
        finish_time=_to_optional_timestamp(turn.finish_time),
    )
    parts: tuple[tuple[Message, bytes], ...] = (
        (message.failure, turn.failure),
        (message.ledger, turn.ledger),
        (message.latency, turn.latency),
    )
    for part, encoded in parts:
        if encoded:
            part.MergeFromString(encoded)
    return message


def to_recorded_turn(recorded: RecordedTurn) -> pb.GetTurnResponse:
    """Return a turn with the segments and the usage of the event that closed it."""
    closing = to_conversation_event(recorded.closing)
    # At most one of the two is set.
    segments = (*closing.turn_finished.segments, *closing.turn_failed.segments)
    usage = (*closing.turn_finished.usage, *closing.turn_failed.usage)
    return pb.GetTurnResponse(turn=to_turn(recorded.turn), segments=segments, usage=usage)


def _from_whole_seconds(duration: Duration) -> timedelta:
    return timedelta(seconds=duration.seconds + bool(duration.nanos))


def _to_optional_timestamp(time: datetime | None) -> Timestamp | None:
    return None if time is None else to_timestamp(time.timestamp())


def _to_optional_duration(duration: timedelta | None) -> Duration | None:
    return None if duration is None else to_duration(duration.total_seconds())


def _to_failure(failure: Failure | None) -> status_pb2.Status | None:
    return failure and to_status(ServiceError(failure.reason, failure.message))
