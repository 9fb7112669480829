"""What is known of a call, as the task service keeps it."""

import json
from collections.abc import Iterable

from digitalhuman.task.v1 import task_pb2 as pb
from services.speech.dialogue.call import CallFacts
from services.speech.dialogue.replies import Exchange
from services.speech.ports.chat import Tool
from services.speech.tools.client_tool import ClientTool
from services.speech.tools.tool import NO_PARAMETERS, Limits


def from_call_facts(facts: pb.CallFacts) -> CallFacts:
    """Return what is known of a call."""
    return CallFacts(
        variables=dict(facts.variables.values),
        context=facts.context,
        history=tuple(_exchanges(facts.history.messages)),
        history_task_id=facts.history.task_id,
        greeting=facts.greeting if facts.HasField("greeting") else None,
        is_greeting_interruptible=facts.greeting_interruptible
        if facts.HasField("greeting_interruptible")
        else None,
        hot_words=tuple(facts.hot_words.words),
        voice_id=facts.voice_id,
        tools=tuple(facts.tools.names) if facts.HasField("tools") else None,
        client_tools=tuple(map(_client_tool, facts.client_tools.tools)),
    )


def _client_tool(tool: pb.ClientTool) -> ClientTool:
    """Return a function of the app, which the task service has checked."""
    schema = json.loads(tool.parameters) if tool.parameters else NO_PARAMETERS
    limits = Limits(timeout_s=tool.timeout.ToTimedelta().total_seconds())
    return ClientTool(
        declaration=Tool(name=tool.name, description=tool.description, parameters=schema),
        limits=limits if tool.HasField("timeout") else Limits(),
    )


def _exchanges(messages: Iterable[pb.SpokenMessage]) -> Iterable[Exchange]:
    """Yield messages as turns, in which the user speaks first, if at all."""
    asked = ""
    for message in messages:
        if message.speaker == pb.SPEAKER_USER:
            if asked:
                yield Exchange(user_text=asked, heard_text="")
            asked = message.text
        else:
            yield Exchange(user_text=asked, heard_text=message.text)
            asked = ""
    if asked:
        yield Exchange(user_text=asked, heard_text="")
