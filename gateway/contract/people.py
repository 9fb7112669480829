"""All that is kept of a user, as lines of JSON, and its removal."""

import json
from typing import Annotated, Literal

from pydantic import Field, SerializeAsAny

from digitalhuman.task.v1 import task_pb2 as pb
from gateway.contract.bodies import ClientTool, HistoryMessage, JsonRequest
from gateway.contract.call_wire import from_client_tool
from gateway.contract.constraints import constraints
from gateway.contract.conversation_events import Event
from gateway.contract.fields import Id
from gateway.contract.json_model import JsonModel
from gateway.contract.models import Problem, Task
from gateway.contract.turn_models import Turn
from gateway.contract.usage import UsageRow
from gateway.contract.wire import enum_name

JSON_LINES = "application/x-ndjson"


class UserBody(JsonRequest):
    """Whose data."""

    user_id: Annotated[Id, Field(min_length=1)] = Field(
        description="The `userId` that create-task was given.",
        json_schema_extra=constraints(pb.EraseUserRequest, "user_id"),
    )


class ErasureAnswer(JsonModel):
    """The user's data is removed."""

    success: Literal[True] = True
    tasks: int = Field(description="How many tasks there were.")


class Call(JsonModel):
    """What was known of a call, under the names of create-task; what was not given is absent."""

    variables: dict[str, str] | None = None
    context: str | None = None
    greeting: str | None = None
    greeting_interruptible: bool | None = None
    hot_words: list[str] | None = None
    voice_id: str | None = None
    tools: list[str] | None = None
    client_tools: list[ClientTool] | None = None
    history_task_id: str | None = None
    history: list[HistoryMessage] | None = None


class TaskRecord(JsonModel):
    """A task; the records of its conversation follow."""

    record: Literal["task"] = "task"
    task: Task
    call: Call | None = None


class TurnRecord(JsonModel):
    """A turn of a task."""

    record: Literal["turn"] = "turn"
    task_id: str
    turn: Turn


class EventRecord(JsonModel):
    """An event of a task's conversation."""

    record: Literal["event"] = "event"
    task_id: str
    event: SerializeAsAny[Event]


class UsageRecord(JsonModel):
    """What the user's tasks of a day cost, removed ones included."""

    record: Literal["usage"] = "usage"
    usage: UsageRow


class ProblemRecord(JsonModel):
    """The last line of an export that failed: what is above is not all."""

    record: Literal["problem"] = "problem"
    problem: Problem


class EndRecord(JsonModel):
    """The last line of a whole export."""

    record: Literal["end"] = "end"
    tasks: int


def to_line(record: JsonModel) -> str:
    """Return a record as a line, in which characters that cannot be seen are escaped.

    Some of them end lines for programs that read them, or are obeyed by terminals.
    """
    text = record.to_text()
    if not text.isprintable():
        text = "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)
    return f"{text}\n"


def from_call_facts(facts: pb.CallFacts) -> Call | None:
    """Return what was known of a call; None for nothing."""
    if not facts.ListFields():
        return None
    history = [
        HistoryMessage(role=_ROLES[enum_name(pb.Speaker, each.speaker)], text=each.text)
        for each in facts.history.messages
    ]
    return Call(
        variables=dict(facts.variables.values) if facts.HasField("variables") else None,
        context=facts.context if facts.HasField("context") else None,
        greeting=facts.greeting if facts.HasField("greeting") else None,
        greeting_interruptible=facts.greeting_interruptible
        if facts.HasField("greeting_interruptible")
        else None,
        hot_words=list(facts.hot_words.words) if facts.HasField("hot_words") else None,
        voice_id=facts.voice_id if facts.HasField("voice_id") else None,
        tools=list(facts.tools.names) if facts.HasField("tools") else None,
        client_tools=list(map(from_client_tool, facts.client_tools.tools))
        if facts.HasField("client_tools")
        else None,
        history_task_id=facts.history.task_id or None,
        history=history or None,
    )


_ROLES: dict[str, Literal["USER", "ASSISTANT"]] = {"USER": "USER", "DIGITAL_HUMAN": "ASSISTANT"}
