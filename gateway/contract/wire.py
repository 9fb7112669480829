"""Turns the services' messages into the objects of the contract: tasks, personas and voices."""

from typing import Any, Protocol

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.status_pb2 import Status

from digitalhuman.access.v1 import access_pb2
from digitalhuman.avatar.v1 import avatar_pb2
from digitalhuman.speech.v1 import speech_pb2
from digitalhuman.task.v1 import task_pb2
from gateway.contract import models
from gateway.contract.problems import in_http_names
from services.runtime.callers.caller import DEFAULT_TENANT
from services.runtime.failures.errors import ServiceError, from_status
from services.runtime.failures.reasons import Reason


def to_duration(seconds: int | None) -> Duration | None:
    """Return whole seconds as a protobuf duration."""
    return None if seconds is None else Duration(seconds=seconds)


def from_duration(span: Duration) -> int:
    """Return a duration in milliseconds."""
    return round(span.ToNanoseconds() / 1e6)


def from_failed_status(status: Status) -> ServiceError:
    """Return the error that a status within a message stands for."""
    return from_status(status) or ServiceError(Reason.INTERNAL, "Something went wrong here.")


def from_failure(status: Status) -> models.Failure:
    """Return why something failed."""
    error = from_failed_status(status)
    return models.Failure(reason=error.reason, message=in_http_names(error.message))


def from_task(task: task_pb2.Task) -> models.Task:
    """Return a task."""
    return models.Task(
        task_id=task.task_id,
        state=enum_name(task_pb2.TaskState, task.state),
        room_id=task.room_id,
        stream_id=task.stream_id,
        digital_human_id=task.digital_human_id or None,
        persona_id=task.persona_id or None,
        lang=task.language_code or None,
        user_id=task.user_id or None,
        background_color=task.background_color or None,
        max_duration_seconds=task.max_duration.seconds,
        max_idle_seconds=task.max_idle_duration.seconds,
        max_absence_seconds=task.max_absence.seconds or None,
        create_time=time_of(task, "create_time"),
        start_time=time_of(task, "start_time"),
        stop_time=time_of(task, "stop_time"),
        stop_reason=enum_name(task_pb2.StopReason, task.stop_reason),
        failure=from_failure(task.failure) if task.HasField("failure") else None,
        usage=_from_usage(task.usage) if task.HasField("usage") else None,
        tenant_id=None if task.tenant_id in ("", DEFAULT_TENANT) else task.tenant_id,
    )


def from_task_answer(task: task_pb2.Task) -> models.TaskAnswer:
    """Return a task as a whole answer."""
    return models.TaskAnswer(**dict(from_task(task)))


def from_stopped_task(task: task_pb2.Task, message: str) -> models.StopAnswer:
    """Return a task that was stopped."""
    return models.StopAnswer(message=message, **dict(from_task(task)))


def _from_usage(usage: task_pb2.Usage) -> models.Usage:
    return models.Usage(
        start_time=time_of(usage, "start_time"),
        stop_time=time_of(usage, "stop_time"),
        billable_seconds=usage.billable_seconds,
    )


def from_playback(playback: avatar_pb2.Playback) -> models.Playback:
    """Return how an avatar is watched."""
    is_whep = playback.protocol == avatar_pb2.PLAYBACK_PROTOCOL_WHEP
    return models.Playback(protocol="WHEP" if is_whep else "ZEGO_EXPRESS", url=playback.url or None)


def from_persona(persona: speech_pb2.Persona) -> models.Persona:
    """Return a persona."""
    return models.Persona(
        persona_id=persona.persona_id,
        display_name=persona.display_name or None,
        description=persona.description or None,
        languages=list(persona.language_codes),
        display_names=dict(persona.display_names),
        descriptions=dict(persona.descriptions),
        digital_human_id=persona.digital_human_id or None,
        variables=list(persona.variable_names),
        greetings=dict(persona.greetings),
        sample_questions=dict(persona.sample_questions),
    )


def from_digital_human(person: avatar_pb2.DigitalHuman) -> models.DigitalHuman:
    """Return a person that can be shown."""
    return models.DigitalHuman(
        digital_human_id=person.digital_human_id,
        display_name=person.display_name or None,
        avatar_url=person.avatar_url or None,
        actions=list(person.actions),
    )


def from_voice(voice: speech_pb2.Voice) -> models.Voice:
    """Return a voice."""
    return models.Voice(
        id=voice.voice_id, name=voice.display_name or None, languages=list(voice.language_codes)
    )


def from_viewer_token(made: avatar_pb2.CreateViewerTokenResponse) -> models.TokenAnswer:
    """Return a viewer's token."""
    return models.TokenAnswer(
        token=made.token,
        expires_at=from_timestamp(made.expire_time),
        app_id=made.app_id,
        playback=from_playback(made.playback),
    )


def from_api_key(key: access_pb2.ApiKey) -> models.ApiKey:
    """Return an API key."""
    return models.ApiKey(**_key_members(key))


def from_revoked_key(key: access_pb2.ApiKey) -> models.KeyAnswer:
    """Return an API key as an answer."""
    return models.KeyAnswer(**_key_members(key))


def from_new_key(made: access_pb2.CreateApiKeyResponse) -> models.NewKeyAnswer:
    """Return a new API key with its secret."""
    return models.NewKeyAnswer(key=made.secret, **_key_members(made.key))


def _key_members(key: access_pb2.ApiKey) -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "name": key.name,
        "role": enum_name(access_pb2.Role, key.role),
        "user_id": key.user_id or None,
        "create_time": time_of(key, "create_time"),
        "expire_time": time_of(key, "expire_time"),
        "revoke_time": time_of(key, "revoke_time"),
    }


def from_ticket(made: access_pb2.CreateTicketResponse, *, single_use: bool) -> models.TicketAnswer:
    """Return a ticket."""
    return models.TicketAnswer(
        ticket=made.secret,
        ticket_id=made.principal.credential_id,
        expires_at=from_timestamp(made.principal.expire_time),
        task_id=made.principal.task_id or None,
        user_id=made.principal.user_id or None,
        single_use=single_use,
    )


def from_timestamp(moment: Timestamp) -> str:
    """Return a moment in RFC 3339."""
    return moment.ToJsonString()


def time_of(message: Message, field: str) -> str | None:
    """Return the moment in a message's field, if that is set."""
    return from_timestamp(getattr(message, field)) if message.HasField(field) else None


class _Enum(Protocol):
    """An enum of the services, as the generated code has it."""

    DESCRIPTOR: EnumDescriptor


def enum_name(enum: _Enum, value: int) -> Any:
    """Return the contract's name of an enum's value; None for UNSPECIFIED.

    It is one of the literals of the model that takes it, which checks it.
    """
    unspecified, *_ = enum.DESCRIPTOR.values
    name: str = enum.DESCRIPTOR.values_by_number[value].name
    return name.removeprefix(unspecified.name.removesuffix("UNSPECIFIED")) if value else None
