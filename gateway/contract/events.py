"""The events around a conversation, and all that a line and the event streams carry."""

from typing import Literal, TypeAlias

from pydantic import Field, RootModel

from gateway.contract.conversation_events import ConversationEvent, Event, Position
from gateway.contract.fields import Instant
from gateway.contract.json_model import JsonModel
from gateway.contract.models import Problem, Task


class ReadyData(JsonModel):
    """How the conversation was joined."""

    task_id: str | None = None
    persona_id: str | None = None
    lang: str | None = None
    voice_id: str | None = None
    last_sequence: int = Field(description="That of the last event before; 0 when there is none.")


class Ready(Event):
    """The question is taken, or the line is open."""

    event: Literal["ready"]
    data: ReadyData


class NoData(JsonModel):
    """Nothing more to say."""


class ConversationSuspended(Event):
    """Speech is lost and looked for; what was being said may have ended."""

    event: Literal["conversation_suspended"]
    data: NoData


class ConversationResumed(Event):
    """The conversation goes on; what was missed follows."""

    event: Literal["conversation_resumed"]
    data: NoData


class SnapshotData(JsonModel):
    """The task, and the position of the last event before."""

    last_sequence: int
    task: Task


class Snapshot(Event):
    """The task as it is; without a position when the stream is resumed."""

    event: Literal["snapshot"]
    sequence: Position | None = None
    data: SnapshotData


class StateChangedData(JsonModel):
    """The task in its new state."""

    time: Instant
    task: Task


class StateChanged(Event):
    """The task's state has changed."""

    event: Literal["state_changed"]
    sequence: Position
    data: StateChangedData


class StreamFailed(Event):
    """The stream itself has failed, and ends."""

    event: Literal["problem"]
    data: Problem


class LineProblem(JsonModel):
    """Why the line is closed after this message."""

    problem: Problem


LineEvent: TypeAlias = Ready | ConversationEvent | ConversationSuspended | ConversationResumed


class LineMessage(RootModel[LineEvent | LineProblem]):
    """A message of the line, `WS /api/digital-human/talk`, to its client.

    `ready` comes first and once. Ignore events that you do not know.
    """


class TurnEvent(RootModel[Ready | ConversationEvent | StreamFailed]):
    """A server-sent event of talk-to-ai and say, asked with `Accept: text/event-stream`.

    `event` is its name, `sequence` its id, `data` its data. Ignore events that you do not know.
    """


class TaskEvent(RootModel[Snapshot | StateChanged | ConversationEvent | StreamFailed]):
    """A server-sent event of `/api/digital-human/tasks/{taskId}/events`.

    `event` is its name, `sequence` its id, `data` its data. Ignore events that you do not know.
    """
