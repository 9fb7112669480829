"""The avatar service's messages to values of its domain, and back."""

from typing import assert_never

from google.protobuf.duration_pb2 import Duration

from digitalhuman.avatar.v1 import avatar_pb2 as pb
from digitalhuman.conversation.v1 import conversation_pb2
from services.avatar.drive import (
    DriveEvent,
    DriveFinished,
    DriveReport,
    DriveStarted,
    Method,
    PlaybackStarted,
    Position,
    Progress,
)
from services.avatar.drives import LastDrive
from services.avatar.vendor.callback import (
    Callback,
    DriveCallback,
    OtherCallback,
    TaskCallback,
)
from services.avatar.vendor.messages import (
    DigitalHuman,
    DriveStatus,
    StreamTask,
    TaskStatus,
    Timbre,
)
from services.avatar.viewers import Stage
from services.runtime.failures.errors import invalid
from services.runtime.wire import to_timestamp

_STATES = {
    TaskStatus.UNKNOWN: pb.AVATAR_STATE_UNSPECIFIED,
    TaskStatus.INITIALISING: pb.AVATAR_STATE_STARTING,
    TaskStatus.INITIALISATION_FAILED: pb.AVATAR_STATE_FAILED,
    TaskStatus.STREAMING: pb.AVATAR_STATE_STREAMING,
    TaskStatus.STOPPING: pb.AVATAR_STATE_STOPPING,
    TaskStatus.STOPPED: pb.AVATAR_STATE_STOPPED,
}
_METHODS = {
    Method.ESTIMATED: conversation_pb2.PLAYBACK_METHOD_ESTIMATED,
    Method.CONFIRMED: conversation_pb2.PLAYBACK_METHOD_CONFIRMED,
}
_REPORTS = {
    DriveStatus.DRIVING: DriveReport.PLAYING,
    DriveStatus.FAILED: DriveReport.FAILED,
    DriveStatus.ENDED: DriveReport.ENDED,
    DriveStatus.INTERRUPTED: DriveReport.CUT_OFF,
}


def from_whole_seconds(duration: Duration, field: str) -> int:
    """Return the seconds of a duration; raises ServiceError for fractions."""
    if duration.nanos:
        raise invalid(field, "whole_seconds", "must be whole seconds")
    return duration.seconds


def from_callback(callback: DriveCallback) -> DriveReport | None:
    """Return what a callback reports about its drive, if anything."""
    return _REPORTS.get(callback.status)


def to_avatar(task: StreamTask) -> pb.Avatar:
    """Return a stream task as an avatar."""
    avatar = pb.Avatar(
        avatar_id=task.task_id,
        state=_STATES[task.status],
        room_id=task.room_id,
        stream_id=task.stream_id,
        fail_reason=task.fail_reason,
    )
    if task.create_time:
        avatar.create_time.CopyFrom(to_timestamp(task.create_time))
    return avatar


def to_digital_human(digital_human: DigitalHuman) -> pb.DigitalHuman:
    """Return a digital human with the names of its gestures."""
    return pb.DigitalHuman(
        digital_human_id=digital_human.digital_human_id,
        display_name=digital_human.name,
        avatar_url=digital_human.avatar_url,
        is_public=digital_human.is_public,
        actions=[motion.action for motion in digital_human.actions],
    )


def to_timbre(timbre: Timbre) -> pb.Timbre:
    """Return a voice of the cloud."""
    return pb.Timbre(timbre_id=timbre.timbre_id, display_name=timbre.name)


def to_playback(stage: Stage, stream_id: str) -> pb.Playback:
    """Return how to watch a stream."""
    if stage.whep_url is None:
        return pb.Playback(protocol=pb.PLAYBACK_PROTOCOL_ZEGO_EXPRESS, url=stage.express_server)
    url = f"{stage.whep_url}/{stream_id}" if stream_id else ""
    return pb.Playback(protocol=pb.PLAYBACK_PROTOCOL_WHEP, url=url)


def to_callback_response(callback: Callback) -> pb.HandleCallbackResponse:
    """Return what a callback is about."""
    match callback:
        case TaskCallback():
            return pb.HandleCallbackResponse(
                avatar_id=callback.task_id, avatar_state=_STATES[callback.status]
            )
        case DriveCallback():
            return pb.HandleCallbackResponse(avatar_id=callback.task_id, drive_id=callback.drive_id)
        case OtherCallback():
            return pb.HandleCallbackResponse()
        case unknown:
            assert_never(unknown)


def to_drive_event(
    event: DriveEvent, *, sequence: int, turn_id: int, now: float
) -> pb.DriveResponse:
    """Return an event of a drive at `now`, in Unix seconds."""
    response = pb.DriveResponse(event_time=to_timestamp(now), sequence=sequence, turn_id=turn_id)
    match event:
        case DriveStarted():
            response.drive_started.drive_id = event.drive_id
        case PlaybackStarted():
            response.playback_started.method = _METHODS[event.method]
        case Progress():
            _set_position(event.position, response.progress, now=now)
        case DriveFinished():
            _set_position(event.position, response.drive_finished, now=now)
            response.drive_finished.interrupted = event.is_interrupted
        case unknown:
            assert_never(unknown)
    return response


def to_interrupted(last: LastDrive | None) -> pb.InterruptAvatarResponse:
    """Return what was cut off, if known, without the time of its first audio."""
    response = pb.InterruptAvatarResponse()
    if last is not None:
        response.last_drive.turn_id = last.turn_id
        _set_position(last.position, response.last_drive.progress, now=None)
    return response


def _set_position(
    position: Position, target: pb.DriveProgress | pb.DriveFinished, *, now: float | None
) -> None:
    target.sent_duration.FromNanoseconds(round(position.sent_s * 1e9))
    target.played_duration.FromNanoseconds(round(position.played_s * 1e9))
    target.method = _METHODS[position.method]
    if position.sent_ago_s is not None and now is not None:
        target.first_sent_time.CopyFrom(to_timestamp(now - position.sent_ago_s))
