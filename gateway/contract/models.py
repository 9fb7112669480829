"""The JSON answers of the contract, as clients read them."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from gateway.contract.fields import Instant, Milliseconds

TASK_STATES = ("CREATING", "STARTING", "STREAMING", "STOPPING", "STOPPED", "FAILED")


class JsonModel(BaseModel):
    """An object whose members are camelCase."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, frozen=True
    )

    def to_json(self) -> dict[str, Any]:
        """Return the object as it is sent: members that are not set are absent."""
        return self.model_dump(by_alias=True, exclude_none=True)


class Done(JsonModel):
    """It worked."""

    success: Literal[True] = True
    message: str


class Usage(JsonModel):
    """What a task cost."""

    start_time: Instant | None = None
    stop_time: Instant | None = None
    billable_seconds: int


class Failure(JsonModel):
    """Why something failed, see docs/errors.md."""

    reason: str
    message: str


class Task(JsonModel):
    """A digital human on air for one room and stream."""

    task_id: str
    state: Literal[TASK_STATES]  # type: ignore[valid-type]  # one tuple for all uses
    room_id: str
    stream_id: str
    digital_human_id: str | None = None
    persona_id: str | None = None
    lang: str | None = None
    user_id: str | None = None
    background_color: str | None = None
    max_duration_seconds: int
    max_idle_seconds: int
    create_time: Instant | None = None
    start_time: Instant | None = None
    stop_time: Instant | None = None
    stop_reason: str | None = Field(
        default=None, description="REQUESTED, EXPIRED, IDLE, CLIENT_GONE, CLOUD or RECONCILED."
    )
    failure: Failure | None = None
    usage: Usage | None = None


class TaskAnswer(Task):
    """A task."""

    success: Literal[True] = True


class StopAnswer(TaskAnswer):
    """A task that was stopped, now or before."""

    message: str


class TaskList(JsonModel):
    """Tasks, newest first."""

    success: Literal[True] = True
    tasks: list[Task]
    next_page_token: str | None = Field(
        default=None, description="Token of the next page; absent on the last."
    )


class Timings(JsonModel):
    """When the stages of a turn were reached, after the last sound of the question."""

    endpoint_ms: Milliseconds | None = None
    transcript_ms: Milliseconds | None = None
    first_token_ms: Milliseconds | None = None
    first_sentence_ms: Milliseconds | None = None
    first_audio_ms: Milliseconds | None = None
    drive_ready_ms: Milliseconds | None = None
    first_pcm_sent_ms: Milliseconds | None = None
    playback_started_ms: Milliseconds | None = None
    last_token_ms: Milliseconds | None = None


class Ledger(JsonModel):
    """How much of a reply became sound and was heard, and how that is known."""

    sentence_count: int
    produced_ms: Milliseconds
    sent_ms: Milliseconds
    played_ms: Milliseconds
    playback_method: str | None = Field(default=None, description="ESTIMATED, CONFIRMED or CALLER.")
    heard_method: str | None = Field(
        default=None, description="COMPLETE, WORD_TIMES, SEGMENT_SHARE or NOTHING."
    )
    confidence: float


class TurnAnswer(JsonModel):
    """A turn that is over, or whose reply begins to be spoken: what is not known yet is absent."""

    success: Literal[True] = True
    message: str
    turn_id: int | None = Field(default=None, description="Absent when nothing was said.")
    transcript: str | None = Field(default=None, description="What was asked, if it was asked.")
    reply: str | None = Field(
        default=None, description="The reply: all of it, or as far as it is made when it begins."
    )
    heard: str | None = Field(default=None, description="What of it was heard.")
    interrupted: bool | None = None
    timings: Timings | None = None
    ledger: Ledger | None = None


class Turn(JsonModel):
    """A turn as recorded."""

    turn_id: int
    origin: str | None = Field(default=None, description="SPEECH, TEXT, SAY, PROMPT or RESUMED.")
    transcript: str | None = Field(default=None, description="Absent when nothing was asked.")
    reply: str | None = Field(default=None, description="Absent before its first word.")
    heard: str | None = Field(default=None, description="Absent while the turn runs.")
    interrupted: bool
    lang: str | None = None
    start_time: Instant | None = None
    finish_time: Instant | None = None
    failure: Failure | None = None
    timings: Timings = Timings()
    ledger: Ledger | None = None


class LedgerWord(JsonModel):
    """When a word of the reply is heard."""

    text_start: int = Field(description="Its first character in the reply.")
    text_end: int
    start_ms: Milliseconds = Field(description="From the first sound of the reply.")
    end_ms: Milliseconds


class LedgerSegment(JsonModel):
    """A clause or sentence of a reply, from text to ear."""

    text: str = Field(description="As it stands in the reply.")
    spoken: str = Field(description="As the voice said it.")
    text_start: int = Field(description="Its first character in the reply.")
    text_end: int
    audio_start_ms: Milliseconds = Field(description="Its place in the sound of the reply.")
    audio_end_ms: Milliseconds
    sent_ms: Milliseconds = Field(description="How much of it was handed to the cloud.")
    played_ms: Milliseconds = Field(description="How much of it was played.")
    heard: str
    heard_method: str | None = Field(
        default=None, description="COMPLETE, WORD_TIMES, SEGMENT_SHARE or NOTHING."
    )
    confidence: float
    words: list[LedgerWord] = Field(description="Empty when the voice gives no times.")


class LedgerAnswer(JsonModel):
    """What became of a turn's reply; while it runs there is no `ledger` and no segment."""

    success: Literal[True] = True
    task_id: str
    turn_id: int
    reply: str | None = Field(default=None, description="Absent before its first word.")
    heard: str | None = Field(default=None, description="Absent while the turn runs.")
    interrupted: bool
    finish_time: Instant | None = Field(default=None, description="Absent while the turn runs.")
    failure: Failure | None = None
    ledger: Ledger | None = None
    segments: list[LedgerSegment]


class Conversation(JsonModel):
    """What was said during a task."""

    success: Literal[True] = True
    task_id: str
    turns: list[Turn]
    last_sequence: int


class Playback(JsonModel):
    """How the digital human is watched."""

    protocol: Literal["WHEP", "ZEGO_EXPRESS"]
    url: str | None = Field(
        default=None,
        description="WHEP: address of the stream, absent without `streamId`; "
        "ZEGO_EXPRESS: the SDK's server.",
    )


class TokenAnswer(JsonModel):
    """A viewer's token."""

    success: Literal[True] = True
    token: str
    expires_at: Instant
    app_id: int
    playback: Playback


class Persona(JsonModel):
    """Who the digital human is."""

    persona_id: str
    display_name: str | None = None
    description: str | None = None
    languages: list[str]
    display_names: dict[str, str] = Field(description="Name, per language.")
    descriptions: dict[str, str] = Field(description="One line about it, per language.")
    digital_human_id: str | None = Field(
        default=None, description="Who is shown when create-task names nobody."
    )
    greetings: dict[str, str]
    sample_questions: dict[str, str]


class DigitalHuman(JsonModel):
    """A person that can be shown."""

    digital_human_id: str
    display_name: str | None = None
    avatar_url: str | None = None
    actions: list[str]


class ConfigAnswer(JsonModel):
    """What a client needs to know before a call."""

    success: Literal[True] = True
    version: str
    needs_key: bool
    default_persona_id: str | None = None
    personas: list[Persona]
    digital_humans: list[DigitalHuman]
    languages: list[str]
    max_upload_bytes: int
    max_audio_seconds: float


class Health(JsonModel):
    """The process lives, or may be sent requests."""

    status: Literal["ok"] = "ok"


class ProblemViolation(JsonModel):
    """A field that breaks a rule."""

    field: str
    rule: str
    description: str


class Problem(JsonModel):
    """A failure (RFC 9457)."""

    type: str = Field(examples=["urn:digitalhuman:error:TASK_NOT_FOUND"])
    title: str
    status: int
    detail: str
    instance: str
    code: str = Field(description="gRPC code.")
    reason: str = Field(description="See docs/errors.md.")
    metadata: dict[str, str]
    request_id: str
    violations: list[ProblemViolation]
    success: Literal[False] = False
    error: str = Field(description="As `detail`.")
