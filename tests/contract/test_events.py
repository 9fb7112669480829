"""An event of a conversation is one thing in proto, speech, record, gateway, OpenAPI and page."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from digitalhuman.conversation.v1 import conversation_pb2 as pb
from digitalhuman.task.v1 import task_pb2
from gateway.contract.conversation_events import ConversationEvent
from gateway.contract.event_wire import from_conversation_event
from gateway.contract.openapi import DOCUMENT
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.speech.conversation import events
from services.speech.conversation.wire import to_event
from services.speech.listening.interruption import UtteranceKind
from services.speech.playback.ledger import Heard, HeardMethod, LedgerSummary
from services.speech.playback.ports import Playback, PlaybackMethod
from services.speech.ports.chat import ToolCall
from services.speech.tools.calls import CallOutcome
from tests.support.task_calls import append, create_streaming, serving_tasks

ROOT = Path(__file__).parents[2]
CASES = [field.name for field in pb.ConversationEvent.DESCRIPTOR.oneofs_by_name["event"].fields]
CARRIERS = ("LineMessage", "TurnEvent", "TaskEvent")
PAGE_TYPES = ROOT / "clients" / "js" / "src" / "contract.gen.ts"

LEDGER = LedgerSummary(
    produced_s=1.0,
    playback=Playback(sent_s=1.0, played_s=1.0, method=PlaybackMethod.CONFIRMED),
    heard=Heard(text="Hi.", method=HeardMethod.COMPLETE, confidence=1.0),
    segments=(),
)
CALL = ToolCall(call_id="one", name="show", arguments='{"product": 7}')
SPOKEN: tuple[events.Event, ...] = (
    events.SpeechStarted(start_s=0.5),
    events.SpeechEnded(end_s=1.5),
    events.SpeechDismissed(kind=UtteranceKind.NOISE, text=""),
    events.TranscriptUpdated(text="Hello", is_final=True),
    events.TurnStarted(
        origin=events.TurnOrigin.SPEECH, user_text="Hello", language_code="en", request_id="one"
    ),
    events.ReplyUpdated(delta="Hi."),
    events.SentenceStarted(text="Hi.", text_start=0, text_end=3, audio_s=0.0, words=()),
    events.PlaybackStarted(method=PlaybackMethod.CONFIRMED),
    events.ToolCalled(call=CALL),
    events.TurnFinished(
        reply_text="Hi.",
        heard_text="Hi.",
        is_interrupted=False,
        ledger=LEDGER,
        latency=events.Latency(anchor_time=1.0, offsets={}),
        calls=(events.MadeCall(call=CALL, outcome=CallOutcome.SUCCEEDED, duration_s=0.5),),
    ),
    events.TurnFailed(
        error=ServiceError(Reason.CHAT_UNAVAILABLE, "No answer."),
        reply_text="Hi.",
        heard_text="",
        ledger=LEDGER,
    ),
)
MESSAGES = [
    to_event(event, at=0.0, sequence=position, turn_id=1)
    for position, event in enumerate(SPOKEN, start=1)
]


def test_speech_has_every_event() -> None:
    assert {type(event) for event in SPOKEN} == set(get_args(events.Event))
    assert sorted(message.WhichOneof("event") or "" for message in MESSAGES) == sorted(CASES)


async def test_the_record_keeps_every_event() -> None:
    async with serving_tasks() as tasks:
        task = await create_streaming(tasks)
        await append(tasks, task.task_id, *MESSAGES)
        request = task_pb2.GetConversationRequest(task_id=task.task_id, after_sequence=0)
        recorded = await tasks.GetConversation(request)
    assert list(recorded.events) == MESSAGES
    assert [turn.reply_text for turn in recorded.turns] == ["Hi."]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.WhichOneof("event"))
def test_the_gateway_has_every_event(message: pb.ConversationEvent) -> None:
    event = from_conversation_event(message, instance="/")
    assert event is not None
    assert event.event == message.WhichOneof("event")
    assert event.sequence == message.sequence
    assert type(event) in get_args(ConversationEvent)
    assert json.loads(event.to_text()) == event.to_json()
    lines = event.to_sse().decode().splitlines()
    assert lines[:2] == [f"id: {message.sequence}", f"event: {event.event}"]
    assert json.loads(lines[2].removeprefix("data: ")) == event.to_json()["data"]


def test_the_gateway_ignores_events_that_it_does_not_know() -> None:
    assert from_conversation_event(pb.ConversationEvent(sequence=1), instance="/") is None


@pytest.mark.parametrize("carrier", CARRIERS)
def test_openapi_has_every_event(carrier: str) -> None:
    schemas = json.loads(DOCUMENT.read_text(encoding="utf-8"))["components"]["schemas"]
    carried = [each["$ref"].rpartition("/")[2] for each in schemas[carrier]["anyOf"]]
    names = {name for each in carried for name in _names(schemas[each])}
    assert names >= set(CASES)


@pytest.mark.parametrize("carrier", CARRIERS)
def test_the_page_has_every_event(carrier: str) -> None:
    types = PAGE_TYPES.read_text(encoding="utf-8")
    union = re.search(rf"^ +{carrier}: (.*);$", types, re.MULTILINE)
    assert union is not None
    names = set()
    for member in re.findall(r'\["schemas"\]\["(\w+)"\]', union[1]):
        body = re.search(rf"^( +){member}: \{{\n(.*?)^\1\}};$", types, re.MULTILINE | re.DOTALL)
        assert body is not None
        names |= set(re.findall(r'^ +event: "(\w+)";$', body[2], re.MULTILINE))
    assert names >= set(CASES)


def _names(schema: dict[str, Any]) -> list[str]:
    return list(schema["properties"].get("event", {}).get("enum", ()))
