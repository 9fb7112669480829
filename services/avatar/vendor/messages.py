"""What the cloud says, parsed leniently: it may add members and omit optional ones."""

import functools
from collections.abc import Mapping
from enum import IntEnum
from typing import Annotated, Any

import structlog
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, model_validator
from pydantic.alias_generators import to_pascal

log = structlog.get_logger(__name__)

FIRST_IN_MILLISECONDS = 10**11
"""Times this large are milliseconds: in seconds they would be after the year 5000."""

LONGEST_TOLD = 40
"""Characters of a status that the log keeps."""


class TaskStatus(IntEnum):
    """Where a stream task is in its life; whatever this version does not know is UNKNOWN."""

    UNKNOWN = 0
    INITIALISING = 1
    INITIALISATION_FAILED = 2
    STREAMING = 3
    STOPPING = 4
    STOPPED = 5

    @classmethod
    def _missing_(cls, value: object) -> "TaskStatus":
        _tell_unknown(str(value)[:LONGEST_TOLD])
        return cls.UNKNOWN


@functools.lru_cache(maxsize=100)
def _tell_unknown(status: str) -> None:
    """Log a status the first time that the cloud uses it: its tasks pass for running ones."""
    log.warning("task status not known", status=status)


class DriveStatus(IntEnum):
    """Where a drive is in its life; an unknown number means that it is over."""

    QUEUED = 1
    DRIVING = 2
    FAILED = 3
    ENDED = 4
    INTERRUPTED = 5

    @classmethod
    def _missing_(cls, value: object) -> "DriveStatus | None":
        return cls.INTERRUPTED if isinstance(value, int) and value > cls.INTERRUPTED else None


def _read_time(value: object) -> float:
    """Return Unix seconds, of seconds or milliseconds; 0 for what cannot be a time."""
    try:
        time = float(value) if isinstance(value, str | int | float) else 0.0
    except (ValueError, OverflowError):
        return 0.0
    seconds = time / 1000 if time >= FIRST_IN_MILLISECONDS else time
    return seconds if 0 <= seconds < FIRST_IN_MILLISECONDS else 0.0


Id = Annotated[str, Field(min_length=1)]


class Message(BaseModel):
    """An object of the cloud's API: members in PascalCase, unknown ones ignored, null is absent."""

    model_config = ConfigDict(
        alias_generator=to_pascal,
        frozen=True,
        extra="ignore",
        # Ids and timestamps are numbers or text, depending on the page of the manual.
        coerce_numbers_to_str=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, members: Any) -> Any:
        """Servers in Go write null for an empty list."""
        if isinstance(members, dict):
            return {name: value for name, value in members.items() if value is not None}
        return members


class Envelope(Message):
    """What every answer is wrapped in; `data` is absent from the answers of void actions."""

    code: int = Field(ge=0, lt=2**31)
    message: str = ""
    request_id: str = ""
    data: Any = None


class Motion(Message):
    """An action that a digital human can perform."""

    action: str
    preview_url: str = ""


class DigitalHuman(Message):
    """A digital human that can be put on air."""

    digital_human_id: str
    name: str = ""
    avatar_url: str = ""
    is_public: bool = False
    actions: tuple[Motion, ...] = ()


class DigitalHumanPage(Message):
    """Some of the digital humans, and how many there are in total."""

    total: int = 0
    digital_humans: tuple[DigitalHuman, ...] = ()


class Timbre(Message):
    """A voice of the cloud's own speech synthesis."""

    timbre_id: str
    name: str = ""
    avatar_url: str = ""


class TimbrePage(Message):
    """Some of the timbres, and how many there are in total."""

    total: int = 0
    timbres: tuple[Timbre, ...] = ()


class CreatedTask(Message):
    """The answer to a creation."""

    task_id: Id


class StreamTask(Message):
    """A digital human on air; `create_time` is in Unix seconds, 0 when it is not known."""

    task_id: str = ""
    room_id: str = ""
    stream_id: str = ""
    status: TaskStatus = TaskStatus.UNKNOWN
    fail_reason: str = ""
    create_time: Annotated[float, BeforeValidator(_read_time)] = 0


class ListedTask(StreamTask):
    """One of the running tasks, which can be recognised only by its id."""

    task_id: Id


class OpenedDrive(Message):
    """A WebSocket drive, ready for its connection; the address holds a token: never log it."""

    drive_id: Id
    wss_address: str = Field(repr=False)


class StartedDrive(Message):
    """A drive that the cloud feeds itself."""

    drive_id: str = ""


_STREAM_TASKS = TypeAdapter(tuple[ListedTask, ...])


def parse_stream_tasks(data: object) -> tuple[StreamTask, ...]:
    """Return the running tasks, whether given bare, as `TaskList` or as `Tasks`."""
    match data:
        case {"TaskList": tasks} | {"Tasks": tasks}:
            found = tasks
        case None:
            found = ()
        case Mapping() if not data:
            found = ()
        case _:
            found = data
    return _STREAM_TASKS.validate_python(found or ())
