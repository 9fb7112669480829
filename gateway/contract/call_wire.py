"""What is known of a call, from the members that a client gave."""

import json

from digitalhuman.task.v1 import task_pb2 as pb
from gateway.contract.bodies import CallBody, ClientTool, CreateTaskBody, HistoryMessage
from gateway.contract.fields import json_text
from gateway.contract.wire import to_duration

_SPEAKERS = {"USER": pb.SPEAKER_USER, "ASSISTANT": pb.SPEAKER_DIGITAL_HUMAN}


def to_call_facts(body: CallBody) -> pb.CallFacts:
    """Return what is known of a call; what the client did not give is absent."""
    given = body.model_fields_set
    facts = pb.CallFacts()
    if "variables" in given:
        facts.variables.CopyFrom(pb.CallVariables(values=body.variables))
    if "context" in given:
        facts.context = body.context
    if "greeting" in given:
        facts.greeting = body.greeting
    if "greeting_interruptible" in given:
        facts.greeting_interruptible = body.greeting_interruptible
    if "hot_words" in given:
        facts.hot_words.CopyFrom(pb.HotWords(words=body.hot_words))
    if "voice_id" in given:
        facts.voice_id = body.voice_id
    if "tools" in given:
        facts.tools.CopyFrom(pb.ToolNames(names=body.tools))
    if "client_tools" in given:
        tools = map(_to_client_tool, body.client_tools)
        facts.client_tools.CopyFrom(pb.ClientTools(tools=tools))
    return facts


def to_new_call_facts(body: CreateTaskBody) -> pb.CallFacts | None:
    """Return what is known of a new call, which may have a history; None for nothing."""
    facts = to_call_facts(body)
    if body.history_task_id or body.history:
        messages = map(_to_message, body.history)
        facts.history.CopyFrom(pb.CallHistory(task_id=body.history_task_id, messages=messages))
    return facts if facts.ListFields() else None


def _to_client_tool(tool: ClientTool) -> pb.ClientTool:
    return pb.ClientTool(
        name=tool.name,
        description=tool.description,
        parameters=json_text(tool.parameters) if tool.parameters else "",
        timeout=to_duration(tool.timeout_seconds),
    )


def from_client_tool(tool: pb.ClientTool) -> ClientTool:
    """Return a function of the app as the client described it."""
    given = {
        "name": tool.name,
        "description": tool.description,
        "parameters": json.loads(tool.parameters or "{}"),
        "timeoutSeconds": tool.timeout.seconds or None,
    }
    return ClientTool.model_validate(given)


def _to_message(message: HistoryMessage) -> pb.SpokenMessage:
    return pb.SpokenMessage(speaker=_SPEAKERS[message.role], text=message.text)
