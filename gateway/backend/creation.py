"""Creating a task, until its creator knows of it or has left."""

import asyncio
import math
import uuid
from contextlib import aclosing

import structlog

from digitalhuman.task.v1 import task_pb2 as pb
from gateway.backend.services import Backend
from gateway.backend.watching import updates
from gateway.contract.bodies import CreateTaskBody
from gateway.contract.call_wire import to_new_call_facts
from gateway.contract.wire import from_failed_status, to_duration
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason

log = structlog.get_logger(__name__)

KEY_NAMESPACE = uuid.UUID("8d2bd6e3-5f0b-5d0f-9f0a-3f4b8f1f6c2e")
CLAIM_MARGIN_S = 25
"""How long after its deadline to be on air a task is stopped if no answer has reported it."""


def order(
    body: CreateTaskBody, idempotency_key: str, *, claim_timeout_s: float
) -> pb.CreateTaskRequest:
    """Return the request for a task that is stopped unless it is claimed in time."""
    return pb.CreateTaskRequest(
        request_id=_to_request_id(idempotency_key),
        room_id=body.room_id,
        stream_id=body.stream_id,
        digital_human_id=body.digital_human_id,
        persona_id=body.persona_id,
        language_code=body.lang,
        user_id=body.user_id,
        background_color=body.background_color,
        max_duration=to_duration(body.max_duration_seconds),
        max_idle_duration=to_duration(body.max_idle_seconds),
        max_absence=to_duration(body.max_absence_seconds),
        facts=to_new_call_facts(body),
        claim_timeout=to_duration(math.ceil(claim_timeout_s)),
    )


async def until_on_air(backend: Backend, task_id: str, timeout_s: float) -> pb.Task:
    """Return the task when it is on air; raises ServiceError, or TimeoutError, when it is not."""
    async with asyncio.timeout(timeout_s), aclosing(updates(backend, task_id)) as seen:
        async for update in seen:
            task = _task_of(update)
            match task.state:
                case pb.TASK_STATE_STREAMING:
                    return task
                case pb.TASK_STATE_FAILED if task.HasField("failure"):
                    raise from_failed_status(task.failure)
                # A task that is stopping may still turn out to have failed.
                case pb.TASK_STATE_STOPPED:
                    raise ServiceError(Reason.TASK_ENDED, "The task was stopped.", task_id=task_id)
                case _:
                    pass
    raise ServiceError(
        Reason.AVATAR_START_FAILED, "The avatar did not come on air.", task_id=task_id
    )


async def claim(backend: Backend, task_id: str) -> None:
    """Claim a task whose creator was answered, so that it runs on."""
    try:
        await backend.ask(backend.task.ClaimTask, pb.ClaimTaskRequest(task_id=task_id))
    except ServiceError as error:
        # The first conversation in it claims it, too.
        log.warning("task not claimed", task_id=task_id, reason=str(error.reason))


async def abandon(backend: Backend, task_id: str) -> None:
    """Stop a task whose creator has left, or cannot be given what it asked for."""
    request = pb.StopTaskRequest(task_id=task_id, reason=pb.STOP_REASON_CLIENT_GONE)
    try:
        await backend.ask(backend.task.StopTask, request)
    except ServiceError as error:
        # The task's own limits end it.
        log.warning("abandoned task not stopped", task_id=task_id, reason=str(error.reason))
    else:
        log.info("abandoned task stopped", task_id=task_id)


def _to_request_id(idempotency_key: str) -> str:
    """Return the key, which may be any text, as a UUID; a new one without a key.

    So every call to create a task can be repeated when its answer is lost.
    """
    try:
        return str(uuid.UUID(idempotency_key))
    except ValueError:
        return str(uuid.uuid5(KEY_NAMESPACE, idempotency_key) if idempotency_key else uuid.uuid4())


def _task_of(update: pb.WatchTaskResponse) -> pb.Task:
    """Return the task in an update; an empty one when the update holds none."""
    if update.HasField("snapshot"):
        return update.snapshot.task
    return update.event.state_changed.task
