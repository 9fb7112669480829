"""The events of a conversation, as a line and the event streams carry them."""

import json
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from gateway.contract.fields import Instant, Milliseconds
from gateway.contract.json_model import JsonModel
from gateway.contract.models import Problem
from gateway.contract.turn_models import Ledger, Timings

Position = Annotated[
    int, Field(description="What a client resumes after; the `id` of a server-sent event.")
]


class Event(JsonModel):
    """An event: its name, its position if it has one, and what it says, all of it in `data`."""

    event: str

    def to_sse(self) -> bytes:
        """Return the event as a part of an event stream."""
        members = self.to_json()
        data = json.dumps(members["data"], ensure_ascii=False)
        head = f"id: {members['sequence']}\n" if "sequence" in members else ""
        return f"{head}event: {self.event}\ndata: {data}\n\n".encode()


class TurnData(JsonModel):
    """What every event of a conversation says."""

    turn_id: int = Field(description="The turn that it belongs to; 0 before the first.")
    time: Instant


class SpeechOffsetData(TurnData):
    """Where in the recording, or the audio of the line."""

    offset_ms: Milliseconds


class SpeechStarted(Event):
    """A voice is heard from the user."""

    event: Literal["speech_started"]
    sequence: Position
    data: SpeechOffsetData


class SpeechEnded(Event):
    """The user's utterance is over."""

    event: Literal["speech_ended"]
    sequence: Position
    data: SpeechOffsetData


class SpeechDismissedData(TurnData):
    """Why, and what was recognised."""

    reason: Literal["NOISE", "BACKCHANNEL", "ECHO"] | None = None
    text: str | None = None


class SpeechDismissed(Event):
    """What sounded like the user's words asks for nothing: no turn follows."""

    event: Literal["speech_dismissed"]
    sequence: Position
    data: SpeechDismissedData


class TranscriptUpdatedData(TurnData):
    """The whole utterance so far."""

    text: str
    is_final: bool


class TranscriptUpdated(Event):
    """A hypothesis of what the user says; a later one replaces it."""

    event: Literal["transcript_updated"]
    sequence: Position
    data: TranscriptUpdatedData


class TurnStartedData(TurnData):
    """Where the turn comes from."""

    origin: Literal["SPEECH", "TEXT", "SAY", "PROMPT", "RESUMED", "GREETING"] | None = None
    transcript: str | None = Field(default=None, description="Absent when nothing was asked.")
    lang: str | None = None
    is_preemptive: bool
    discarded_replies: int
    request_id: str | None = None


class TurnStarted(Event):
    """The user's words are taken and a reply is being made."""

    event: Literal["turn_started"]
    sequence: Position
    data: TurnStartedData


class ReplyUpdatedData(TurnData):
    """Text to append to the reply so far."""

    delta: str


class ReplyUpdated(Event):
    """More text of the reply."""

    event: Literal["reply_updated"]
    sequence: Position
    data: ReplyUpdatedData


class WordTime(JsonModel):
    """When a word is heard; `start` and `end` count code points of its sentence."""

    start: int
    end: int
    start_ms: Milliseconds
    end_ms: Milliseconds


class SentenceStartedData(TurnData):
    """A sentence, or first clause, of the reply and its place in it."""

    text: str
    text_start: int
    text_end: int
    audio_offset_ms: Milliseconds
    words: list[WordTime] = Field(description="Empty when the voice gives no times.")


class SentenceStarted(Event):
    """A sentence of the reply has become audio."""

    event: Literal["sentence_started"]
    sequence: Position
    data: SentenceStartedData


class PlaybackStartedData(TurnData):
    """How the moment is known."""

    method: Literal["ESTIMATED", "CONFIRMED", "CALLER"] | None = None


class PlaybackStarted(Event):
    """The digital human began to speak the reply."""

    event: Literal["playback_started"]
    sequence: Position
    data: PlaybackStartedData


class ToolCalledData(TurnData):
    """A call that waits for its result: a message `tool_result`, or a POST of the same name."""

    call_id: str = Field(description="Names the call in its result.")
    name: str
    arguments: str = Field(description="A JSON object that fits the tool's schema.")


class ToolCalled(Event):
    """The model calls a function of the app."""

    event: Literal["tool_called"]
    sequence: Position
    data: ToolCalledData


class MadeToolCall(JsonModel):
    """A tool that was called in a turn."""

    call_id: str
    name: str
    arguments: str = Field(description="As the model wrote them.")
    outcome: Literal["SUCCEEDED", "FAILED", "TIMED_OUT", "REFUSED", "CANCELLED"] | None = Field(
        default=None, description="Absent when it was still running when the turn ended."
    )
    duration_ms: Milliseconds


class TurnFinishedData(TurnData):
    """The reply, and how much of it was heard."""

    reply: str
    heard: str
    interrupted: bool
    timings: Timings
    ledger: Ledger
    tool_calls: list[MadeToolCall] = Field(description="In the order of the calls.")


class TurnFinished(Event):
    """The turn is over and its reply was heard, wholly or in part."""

    event: Literal["turn_finished"]
    sequence: Position
    data: TurnFinishedData


class TurnFailedData(TurnData):
    """What went wrong, and the reply until then."""

    problem: Problem
    reply: str
    heard: str
    ledger: Ledger | None = Field(
        default=None, description="Absent when another process had to close the turn."
    )
    tool_calls: list[MadeToolCall] = Field(description="In the order of the calls.")


class TurnFailed(Event):
    """The turn is over without a complete reply."""

    event: Literal["turn_failed"]
    sequence: Position
    data: TurnFailedData


ConversationEvent: TypeAlias = (
    SpeechStarted
    | SpeechEnded
    | SpeechDismissed
    | TranscriptUpdated
    | TurnStarted
    | ReplyUpdated
    | SentenceStarted
    | PlaybackStarted
    | ToolCalled
    | TurnFinished
    | TurnFailed
)
