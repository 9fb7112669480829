"""The cloud's actions, and which may be retried when an answer is lost."""

from enum import Enum, StrEnum


class Repeat(Enum):
    """When a call may be retried after a failure."""

    ALWAYS = "always"
    """The action is idempotent."""

    IF_REFUSED = "if refused"
    """Only when the cloud certainly did not act: it said so, or was never reached."""


class Action(StrEnum):
    """Every documented action, by its name in the API."""

    GET_DIGITAL_HUMAN_LIST = "GetDigitalHumanList"
    GET_DIGITAL_HUMAN_INFO = "GetDigitalHumanInfo"
    GET_TIMBRE_LIST = "GetTimbreList"
    CREATE_STREAM_TASK = "CreateDigitalHumanStreamTask"
    GET_STREAM_TASK_STATUS = "GetDigitalHumanStreamTaskStatus"
    QUERY_STREAM_TASKS = "QueryDigitalHumanStreamTasks"
    STOP_STREAM_TASK = "StopDigitalHumanStreamTask"
    DRIVE_BY_TEXT = "DriveByText"
    DRIVE_BY_AUDIO = "DriveByAudio"
    DRIVE_BY_WS_STREAM = "DriveByWsStream"
    DRIVE_BY_RTC_STREAM = "DriveByRTCStream"
    DO_ACTION = "DoAction"
    INTERRUPT_DRIVE_TASK = "InterruptDriveTask"

    @property
    def is_look(self) -> bool:
        """Whether the action only reads."""
        return self.value.startswith(("Get", "Query"))

    @property
    def repeat(self) -> Repeat:
        """Whether the call may be repeated when its answer is lost."""
        match self:
            case (
                Action.CREATE_STREAM_TASK
                | Action.DRIVE_BY_TEXT
                | Action.DRIVE_BY_AUDIO
                | Action.DO_ACTION
            ):
                return Repeat.IF_REFUSED
            case _:
                return Repeat.ALWAYS
