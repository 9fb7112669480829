"""The JSON requests of the contract, as clients write them."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, FailFast, Field, model_validator

from digitalhuman.access.v1 import access_pb2
from digitalhuman.avatar.v1 import avatar_pb2
from digitalhuman.speech.v1 import speech_pb2
from digitalhuman.task.v1 import task_pb2
from gateway.contract.constraints import constraints
from gateway.contract.fields import (
    Days,
    Id,
    JsonObject,
    Lang,
    Position,
    RequestId,
    Seconds,
    TaskId,
    Text,
    Words,
)
from gateway.contract.json_model import JsonModel
from services.runtime.callers.requests import new_request_id


def _allow_nulls(schema: dict[str, Any]) -> None:
    """Describe that members with a default may be null, which is the same as absent."""
    required = schema.get("required", ())
    for name, member in schema.get("properties", {}).items():
        if name not in required:
            member["nullable"] = True


class JsonRequest(JsonModel):
    """A request's body: types are not converted, unknown members are ignored, null is absent."""

    model_config = ConfigDict(
        strict=True, extra="ignore", validate_by_name=False, json_schema_extra=_allow_nulls
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, body: Any) -> Any:
        if isinstance(body, dict):
            return {name: value for name, value in body.items() if value is not None}
        return body


class HistoryMessage(JsonRequest):
    """Something that was said in an earlier call."""

    role: Literal["USER", "ASSISTANT"] = Field(description="The user, or the digital human.")
    text: Text = Field(
        description="What was said and heard, 1 to 2000 characters.",
        json_schema_extra=constraints(task_pb2.SpokenMessage, "text"),
    )


class ClientTool(JsonRequest):
    """A function of the app that the model may call; it answers with `tool_result`."""

    name: Text = Field(
        description="Up to 64 letters, digits, `_` and `-`, a letter or `_` first.",
        json_schema_extra=constraints(task_pb2.ClientTool, "name"),
    )
    description: Text = Field(
        description="What it does, and when to call it, as the model is told; 1 to 1000"
        " characters.",
        json_schema_extra=constraints(task_pb2.ClientTool, "description"),
    )
    parameters: JsonObject = Field(
        default={},
        description="JSON Schema of its arguments, an object of type `object`, up to 4000"
        " characters and without references and patterns; absent: it takes none.",
    )
    timeout_seconds: Seconds | None = Field(
        default=None,
        description="How long the reply waits for its result, 1 to 300; default 20.",
        json_schema_extra=constraints(task_pb2.ClientTool, "timeout"),
    )


class CallBody(JsonRequest):
    """What is known of one call. It is never logged, and removed with what was said."""

    variables: Annotated[dict[Text, Text], FailFast()] = Field(
        default={},
        max_length=32,
        description="Values for `{{name}}` in the persona's texts and tools and in `greeting`, of"
        " which one has to know the name: up to 32, with names of 1 to 32 lower-case letters,"
        " digits and `_`, and up to 500 characters each.",
    )
    context: Text = Field(
        default="",
        description="What the model is told of this call, as information and not as an instruction,"
        " up to 2000 characters.",
        json_schema_extra=constraints(task_pb2.CallFacts, "context"),
    )
    greeting: Text = Field(
        default="",
        description="What the digital human says first, up to 1000 characters; absent: the"
        " persona's greeting; empty: nothing.",
        json_schema_extra=constraints(task_pb2.CallFacts, "greeting"),
    )
    greeting_interruptible: bool = Field(
        default=True,
        description="Whether the user can cut the greeting off; absent: as the persona has it.",
    )
    hot_words: Annotated[list[Text], FailFast()] = Field(
        default=[],
        max_length=100,
        description="Up to 100 names and terms that the user is likely to say, of 1 to 50"
        " characters.",
    )
    voice_id: Text = Field(
        default="",
        description="Who speaks, one of `/api/v1/audio/voices`; empty or absent: the persona's"
        " voice.",
        json_schema_extra=constraints(task_pb2.CallFacts, "voice_id"),
    )
    tools: Annotated[list[Text], FailFast()] = Field(
        default=[],
        max_length=32,
        description="The only tools that this call may use, of the persona's and of `clientTools`,"
        " up to 32 names; absent: all.",
    )
    client_tools: Annotated[list[ClientTool], FailFast()] = Field(
        default=[],
        max_length=16,
        description="Functions of the app that the model may call in this call, beside those of the"
        " persona; up to 16.",
    )


class UpdateTaskBody(CallBody):
    """What changes in a call: a member replaces what there was, an absent one leaves it."""


class CreateTaskBody(CallBody):
    """What to put on air."""

    history_task_id: Text = Field(
        default="",
        description="Task of an earlier call, which the digital human remembers.",
        json_schema_extra=constraints(task_pb2.CallHistory, "task_id"),
    )
    history: Annotated[list[HistoryMessage], FailFast()] = Field(
        default=[],
        max_length=32,
        description="What was said earlier, up to 32 messages, after those of `historyTaskId`.",
    )
    greet_when: Literal["ON_AIR", "WATCHED"] = Field(
        default="ON_AIR",
        description="When the digital human says its greeting: once on air, or when a client says"
        " that it is watched, by `greet`.",
    )

    room_id: Id = Field(
        description="RTC room, 1 to 128 bytes.",
        json_schema_extra=constraints(task_pb2.CreateTaskRequest, "room_id"),
    )
    stream_id: Id = Field(
        description="RTC stream, unique among running tasks: letters, digits, `-`, `_`, up to 128.",
        json_schema_extra=constraints(task_pb2.CreateTaskRequest, "stream_id"),
    )
    persona_id: Id = Field(
        default="",
        description="Persona; default: the deployment's own.",
        json_schema_extra=constraints(task_pb2.CreateTaskRequest, "persona_id"),
    )
    lang: Lang = ""
    digital_human_id: Id = Field(
        default="",
        description="Who is shown; default: the persona's own, else the deployment's.",
        json_schema_extra=constraints(task_pb2.CreateTaskRequest, "digital_human_id"),
    )
    user_id: Id = Field(
        default="",
        description="Whose task it is, up to 64 bytes.",
        json_schema_extra=constraints(task_pb2.CreateTaskRequest, "user_id"),
    )
    background_color: Text = Field(
        default="",
        description="`#rrggbb`; default: the digital human's own.",
        json_schema_extra=constraints(task_pb2.CreateTaskRequest, "background_color"),
    )
    max_duration_seconds: Seconds | None = Field(
        default=None,
        description="Hard end, 10 to what the deployment allows, at most 86400; default 1800.",
        json_schema_extra=constraints(task_pb2.CreateTaskRequest, "max_duration"),
    )
    max_idle_seconds: Seconds | None = Field(
        default=None,
        description="End after so long without speech, 30 to the same limit; default 120.",
        json_schema_extra=constraints(task_pb2.CreateTaskRequest, "max_idle_duration"),
    )
    max_absence_seconds: Seconds | None = Field(
        default=None,
        description="End once the client is gone for so long, 5 to 3600: no open line, no watch, "
        "no call with this task. Default: it may be gone.",
        json_schema_extra=constraints(task_pb2.CreateTaskRequest, "max_absence"),
    )


class KeyBody(JsonRequest):
    """An API key to be made."""

    name: Id = Field(
        description="What it is for, 1 to 64 bytes.",
        json_schema_extra=constraints(access_pb2.CreateApiKeyRequest, "name"),
    )
    role: Literal["USER", "SERVER", "OPERATOR"] = Field(
        default="SERVER", description="What it allows, see docs/security.md."
    )
    user_id: Id = Field(
        default="",
        description="Whose tasks it is limited to: required with USER, absent with others.",
        json_schema_extra=constraints(access_pb2.CreateApiKeyRequest, "user_id"),
    )
    expires_in_days: Days | None = Field(
        default=None, description="How long it is good for; default: until it is revoked."
    )


class TicketBody(JsonRequest):
    """What a ticket opens: a task, or the one that its user will create."""

    task_id: Text = Field(
        default="",
        description="The only task that it opens; absent: the one that its user creates with it.",
        json_schema_extra=constraints(access_pb2.CreateTicketRequest, "task_id"),
    )
    user_id: Id = Field(
        default="",
        description="Who holds it, up to 64 bytes; default: the task's user. Required without"
        " `taskId`.",
        json_schema_extra=constraints(access_pb2.CreateTicketRequest, "user_id"),
    )
    expires_in_seconds: Seconds | None = Field(
        default=None,
        description="How long it is good for, 10 to 86400; default 900.",
        json_schema_extra=constraints(access_pb2.CreateTicketRequest, "lifetime"),
    )
    single_use: bool = Field(
        default=False,
        description="Whether it is good for one request, so that it may stand in an address.",
    )


class TaskBody(JsonRequest):
    """Which task."""

    task_id: TaskId


CutOnLeave = Annotated[
    bool,
    Field(
        description="Whether a client that leaves before its answer has the turn cut off. "
        "Default: the turn goes on."
    ),
]


class TalkBody(TaskBody):
    """A question in writing; without `text` the persona's sample question is asked."""

    lang: Lang = ""
    cut_on_leave: CutOnLeave = False
    text: Text | None = Field(
        default=None,
        description="The question, 1 to 4000 characters.",
        json_schema_extra=constraints(speech_pb2.ConverseText, "text"),
    )


class TalkFields(TalkBody):
    """The same as fields of a form or of a query, where all is text."""

    cut_on_leave: Annotated[CutOnLeave, Field(strict=False)] = False


class SayBody(TaskBody):
    """Words for the digital human to say."""

    text: Text = Field(
        description="1 to 4000 characters.",
        json_schema_extra=constraints(speech_pb2.ConverseSay, "text"),
    )
    lang: Lang = ""
    cut_on_leave: CutOnLeave = False
    priority: Literal["LOW", "NORMAL", "HIGH"] = Field(
        default="NORMAL",
        description="LOW is dropped while something is being said, NORMAL waits for its end, "
        "HIGH cuts it off.",
    )
    interruptible: bool = Field(
        default=True,
        description="Whether the user, or other words to say, may cut these off. What the user says"
        " meanwhile is answered after them.",
    )
    request_id: RequestId = Field(
        default_factory=new_request_id,
        description="A UUID by which the words can be withdrawn; sent again, they are said once.",
        json_schema_extra={"format": "uuid"},
    )


class ToolResultMembers(JsonRequest):
    """What a function of the app returned."""

    call_id: Text = Field(
        description="The call, as `tool_called` named it.",
        json_schema_extra=constraints(speech_pb2.ConverseToolResult, "call_id"),
    )
    result: Text = Field(
        default="",
        description="What the model is told: text, or JSON; up to 20000 characters.",
        json_schema_extra=constraints(speech_pb2.ConverseToolResult, "result"),
    )
    failed: bool = Field(
        default=False, description="Whether it failed, for the reason that `result` says."
    )


class ToolResultBody(TaskBody, ToolResultMembers):
    """What a function of the app returned, in a task."""


class ActionBody(TaskBody):
    """A gesture."""

    action: Text = Field(
        description="One of the digital human's actions, see /api/config.",
        json_schema_extra=constraints(avatar_pb2.PerformActionRequest, "action"),
    )


class SpeechBody(JsonRequest):
    """What is to be spoken; `model` and `speed` are ignored, as there is one of each."""

    model_config = ConfigDict(alias_generator=None)

    input: Words
    voice: Annotated[
        str,
        Field(
            description="Of `voices`; default: the first of them.",
            json_schema_extra=constraints(speech_pb2.SynthesizeRequest, "voice_id"),
        ),
    ] = ""
    response_format: Literal["pcm"] = Field(
        default="pcm",
        description="16-bit samples, little-endian, mono; the rate is in the Content-Type.",
    )


class TalkQuery(JsonRequest):
    """How a client joins a conversation by WebSocket."""

    task_id: TaskId
    lang: Lang = ""
    turn_detection: Literal["SERVER", "MANUAL"] = "SERVER"
    audio: Literal["pcm", "webm"] = "pcm"
    after: Position = None


class Control(JsonRequest):
    """A text message of a WebSocket, by which the others are known."""

    type: Literal["commit", "text", "say", "withdraw", "greet", "interrupt", "leave", "tool_result"]


class TextControl(Control):
    """A question in writing."""

    text: Words
    request_id: RequestId = Field(default_factory=new_request_id)


class SayControl(Control):
    """Words for the digital human to say."""

    text: Words
    priority: Literal["LOW", "NORMAL", "HIGH"] = "NORMAL"
    interruptible: bool = True
    request_id: RequestId = Field(default_factory=new_request_id)


class WithdrawControl(Control):
    """Words to say are taken back."""

    request_id: RequestId


class ToolResultControl(Control, ToolResultMembers):
    """What a function of the app returned."""


class LeaveControl(Control):
    """The user goes away, perhaps to come back in a moment."""

    linger_seconds: Annotated[float, Field(ge=0, le=3600)]
