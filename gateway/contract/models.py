"""The JSON answers about tasks, viewers and the deployment, as clients read them."""

from typing import Literal, TypeAlias

from pydantic import Field

from gateway.contract.fields import Instant
from gateway.contract.json_model import JsonModel

TASK_STATES = ("CREATING", "STARTING", "STREAMING", "STOPPING", "STOPPED", "FAILED")


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
    max_absence_seconds: int | None = None
    create_time: Instant | None = None
    start_time: Instant | None = None
    stop_time: Instant | None = None
    stop_reason: str | None = Field(
        default=None,
        description="REQUESTED, EXPIRED, IDLE, CLIENT_GONE, CLOUD, RECONCILED, BUDGET or QUOTA.",
    )
    failure: Failure | None = None
    usage: Usage | None = None
    tenant_id: str | None = Field(
        default=None, description="Whose task it is; absent for the default tenant."
    )


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


class ApiKey(JsonModel):
    """An API key, without its secret."""

    key_id: str
    name: str
    role: Literal["USER", "SERVER", "OPERATOR"]
    user_id: str | None = Field(default=None, description="Whose tasks it is limited to.")
    create_time: Instant | None = None
    expire_time: Instant | None = None
    revoke_time: Instant | None = None


class KeyAnswer(ApiKey):
    """An API key."""

    success: Literal[True] = True


class NewKeyAnswer(KeyAnswer):
    """A new API key."""

    key: str = Field(description="What its holder shows. It cannot be had again.")


class KeyList(JsonModel):
    """API keys, newest first."""

    success: Literal[True] = True
    keys: list[ApiKey]
    next_page_token: str | None = Field(
        default=None, description="Token of the next page; absent on the last."
    )


class TicketAnswer(JsonModel):
    """A ticket, which a browser may hold."""

    success: Literal[True] = True
    ticket: str = Field(description="What its holder shows. It cannot be had again.")
    ticket_id: str
    expires_at: Instant
    task_id: str | None = Field(default=None, description="The only task that it opens.")
    user_id: str | None = Field(default=None, description="Who holds it.")
    single_use: bool


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
    variables: list[str] = Field(description="The variables that its texts and tools use.")
    greetings: dict[str, str]
    sample_questions: dict[str, str]


class DigitalHuman(JsonModel):
    """A person that can be shown."""

    digital_human_id: str
    display_name: str | None = None
    avatar_url: str | None = None
    actions: list[str]


class Voice(JsonModel):
    """A voice."""

    id: str
    name: str | None = None
    languages: list[str]


class Voices(JsonModel):
    """All voices."""

    voices: list[Voice]


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


Recovery: TypeAlias = Literal["NONE", "OUTAGE", "LIMIT"]


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
    recovery: Recovery = Field(
        description="Whether the same request may succeed later although nobody changes anything:"
        " `OUTAGE`, something is away and comes back; `LIMIT`, a limit is used up and is free again"
        " after a while; `NONE`, it fails again."
    )
    metadata: dict[str, str]
    request_id: str
    violations: list[ProblemViolation]
    success: Literal[False] = False
    error: str = Field(description="As `detail`.")
