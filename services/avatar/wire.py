"""Between the proto and the domain, for the whole service."""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from digitalhuman.avatar.v1 import avatar_pb2 as pb
from digitalhuman.conversation.v1 import conversation_pb2
from services.avatar.drive import (
    CloudWord,
    DriveEvent,
    DriveFinished,
    DriveStarted,
    Method,
    PlaybackStarted,
    Position,
    Progress,
)
from services.avatar.drives import LastDrive
from services.avatar.vendor.callback import DriveReport, Report, TaskReport
from services.avatar.vendor.messages import (
    DigitalHuman,
    DriveStatus,
    StreamTask,
    TaskStatus,
    Timbre,
)
from services.avatar.viewers import Stage
from services.runtime.errors import invalid

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
_WORDS = {
    DriveStatus.DRIVING: CloudWord.PLAYING,
    DriveStatus.FAILED: CloudWord.FAILED,
    DriveStatus.ENDED: CloudWord.ENDED,
    DriveStatus.INTERRUPTED: CloudWord.CUT_OFF,
}


def read_whole_seconds(duration: Duration, field: str) -> int:
    """The seconds of a duration; raises ServiceError for a fraction."""
    if duration.nanos:
        raise invalid(field, "whole_seconds", "must be whole seconds")
    return duration.seconds


def read_word(report: DriveReport) -> CloudWord | None:
    """What a report means to a drive; None if nothing."""
    return _WORDS.get(report.status)


def write_avatar(task: StreamTask) -> pb.Avatar:
    """A stream task as an avatar."""
    avatar = pb.Avatar(
        avatar_id=task.task_id,
        state=_STATES[task.status],
        room_id=task.room_id,
        stream_id=task.stream_id,
        fail_reason=task.fail_reason,
    )
    if task.create_time:
        avatar.create_time.FromSeconds(task.create_time)
    return avatar


def write_digital_human(person: DigitalHuman) -> pb.DigitalHuman:
    """A person with the names of its gestures."""
    return pb.DigitalHuman(
        digital_human_id=person.digital_human_id,
        display_name=person.name,
        avatar_url=person.avatar_url,
        is_public=person.is_public,
        actions=[motion.action for motion in person.actions],
    )


def write_timbre(timbre: Timbre) -> pb.Timbre:
    """A voice of the cloud."""
    return pb.Timbre(timbre_id=timbre.timbre_id, display_name=timbre.name)


def write_playback(stage: Stage, stream_id: str) -> pb.Playback:
    """How a stream is watched."""
    if stage.whep_url is None:
        return pb.Playback(protocol=pb.PLAYBACK_PROTOCOL_ZEGO_EXPRESS, url=stage.express_server)
    url = f"{stage.whep_url}/{stream_id}" if stream_id else ""
    return pb.Playback(protocol=pb.PLAYBACK_PROTOCOL_WHEP, url=url)


def write_report(report: Report) -> pb.HandleCallbackResponse:
    """What a callback says."""
    match report:
        case TaskReport():
            return pb.HandleCallbackResponse(
                avatar_id=report.task_id, avatar_state=_STATES[report.status]
            )
        case DriveReport():
            return pb.HandleCallbackResponse(avatar_id=report.task_id, drive_id=report.drive_id)
        case _:
            return pb.HandleCallbackResponse()


def write_drive_event(
    event: DriveEvent, *, sequence: int, turn_id: int, now: float
) -> pb.DriveResponse:
    """One event of a drive, stamped; `now` in Unix seconds."""
    response = pb.DriveResponse(event_time=write_time(now), sequence=sequence, turn_id=turn_id)
    match event:
        case DriveStarted():
            response.drive_started.drive_id = event.drive_id
        case PlaybackStarted():
            response.playback_started.method = _METHODS[event.method]
        case Progress():
            _write_position(event.position, response.progress, now=now)
        case DriveFinished():
            _write_position(event.position, response.drive_finished, now=now)
            response.drive_finished.interrupted = event.is_interrupted
    return response


def write_interrupted(last: LastDrive | None) -> pb.InterruptAvatarResponse:
    """What was cut off, if it is known; nobody counts any more from when it began."""
    response = pb.InterruptAvatarResponse()
    if last is not None:
        response.last_drive.turn_id = last.turn_id
        _write_position(last.position, response.last_drive.progress, now=None)
    return response


def write_time(unix_s: float) -> Timestamp:
    """A time stamp of Unix seconds."""
    timestamp = Timestamp()
    timestamp.FromNanoseconds(int(unix_s * 1e9))
    return timestamp


def _write_position(
    position: Position, target: pb.DriveProgress | pb.DriveFinished, *, now: float | None
) -> None:
    target.sent_duration.FromNanoseconds(round(position.sent_s * 1e9))
    target.played_duration.FromNanoseconds(round(position.played_s * 1e9))
    target.method = _METHODS[position.method]
    if position.sent_ago_s is not None and now is not None:
        target.first_sent_time.CopyFrom(write_time(now - position.sent_ago_s))
