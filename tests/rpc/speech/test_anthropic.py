"""What is particular about Anthropic's API: the form of dialogues, errors, and what is a reply."""

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from services.speech.ports.chat import ChatItem, ChatMessage, ChatRequest, Role, Tool, ToolCall
from services.speech.ports.errors import ProviderError, ProviderMuteError, ProviderQuotaError
from services.speech.vendors.anthropic.body import MessagesBody
from services.speech.vendors.anthropic_chat import AnthropicChatModel
from services.speech.vendors.http.parameters import Parameters
from tests.rpc.speech.test_chat_answers import ENDPOINT, answer, refusal
from tests.support.vendor_answers import MARKED, REPLY, sse

CALLS = (
    ToolCall(call_id="a1", name="hours", arguments='{"day": "monday"}'),
    ToolCall(call_id="b2", name="hours", arguments="no JSON"),
)
DIALOGUE = ChatRequest(
    messages=(
        ChatMessage(role=Role.SYSTEM, content="You are a host."),
        ChatMessage(role=Role.USER, content="Hello."),
        ChatMessage(role=Role.USER, content="When do you open?"),
        ChatMessage(role=Role.ASSISTANT, content="", tool_calls=CALLS),
        ChatMessage(role=Role.TOOL, content="from nine", call_id="a1"),
        ChatMessage(role=Role.TOOL, content="bad arguments", call_id="b2"),
        ChatMessage(role=Role.USER, content="And on Sunday?"),
    ),
    tools=(
        Tool(name="clock", description="Tells the time.", parameters={}),
        Tool(name="hours", description="Tells when we open.", parameters={"type": "object"}),
    ),
)
STOP = sse({"type": "message_stop"})
CACHED = {"type": "ephemeral"}


def said(*texts: str, stop_reason: str = "end_turn", end: bytes = STOP) -> bytes:
    """Return a stream of one block of text."""
    start = {"type": "content_block_start", "index": 0, "content_block": {"type": "text"}}
    deltas = (
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
        for text in texts
    )
    stop = {"type": "message_delta", "delta": {"stop_reason": stop_reason}}
    return b"".join(map(sse, (start, *deltas, stop))) + end


class ScriptedMessages:
    """A model that answers each request with the next of the bodies."""

    def __init__(self, *answers: httpx.Response) -> None:
        self.sent: list[dict[str, Any]] = []
        self._answers = list(answers)
        client = httpx.AsyncClient(
            base_url=ENDPOINT.base_url, transport=httpx.MockTransport(self._answer)
        )
        body = MessagesBody(
            max_tokens=300, parameters=Parameters(values={"temperature": 0.5}), extra={"top_k": 5}
        )
        self._model = AnthropicChatModel(client, replace(ENDPOINT, name="anthropic"), body)

    async def items(self, request: ChatRequest = DIALOGUE) -> list[ChatItem]:
        return [item async for item in self._model.stream(request)]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(json.loads(request.content))
        return self._answers.pop(0)


async def test_the_dialogue_has_the_form_that_the_api_wants() -> None:
    scripted = ScriptedMessages(answer(said("From ten.")))
    await scripted.items()
    sent = scripted.sent[0]
    assert sent["system"] == [{"type": "text", "text": "You are a host.", "cache_control": CACHED}]
    assert sent["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Hello."},
                {"type": "text", "text": "When do you open?"},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "a1", "name": "hours", "input": {"day": "monday"}},
                {"type": "tool_use", "id": "b2", "name": "hours", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a1", "content": "from nine"},
                {"type": "tool_result", "tool_use_id": "b2", "content": "bad arguments"},
                {"type": "text", "text": "And on Sunday?"},
            ],
        },
    ]
    assert [each["name"] for each in sent["tools"]] == ["clock", "hours"]
    assert [each.get("cache_control") for each in sent["tools"]] == [None, CACHED]
    assert sent["tools"][0]["input_schema"] == {"type": "object"}
    assert (sent["max_tokens"], sent["temperature"], sent["top_k"]) == (300, 0.5, 5)


@pytest.mark.parametrize("name", ["think", "escaped", "a header that starts", "between words"])
async def test_thinking_and_tokens_within_the_text_are_no_reply(name: str) -> None:
    items = await ScriptedMessages(answer(said(*MARKED[name]))).items()
    assert "".join(each for each in items if isinstance(each, str)).strip() == REPLY


async def test_a_temperature_that_is_refused_is_not_sent_again() -> None:
    scripted = ScriptedMessages(
        refusal("temperature: not supported"), *(answer(said("Nine.")) for _ in range(2))
    )
    for _ in range(2):
        assert "Nine." in await scripted.items()
    assert ["temperature" in each for each in scripted.sent] == [True, False, False]


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (said(), "without a word"),
        (said(stop_reason="refusal"), "refuses"),
        (said(stop_reason="max_tokens"), "cut by its length"),
    ],
)
async def test_a_message_without_words_is_no_reply(body: bytes, what: str) -> None:
    with pytest.raises(ProviderMuteError, match=what):
        await ScriptedMessages(answer(body)).items()


@pytest.mark.parametrize(
    "end",
    [
        b"",
        b"event: error\n" + sse({"type": "error", "error": {"type": "overloaded_error"}}),
        b"data: {\n\n",
        b"data: [5]\n\n",
    ],
    ids=["the end is missing", "an error", "no JSON", "no object"],
)
async def test_what_ends_in_the_middle_fails_for_now(end: bytes) -> None:
    with pytest.raises(ProviderError) as failure:
        await ScriptedMessages(answer(said("From ", end=end))).items()
    assert failure.value.transient


async def test_a_rate_limit_within_the_stream_is_a_quota() -> None:
    end = sse({"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}})
    with pytest.raises(ProviderQuotaError) as failure:
        await ScriptedMessages(answer(said("From ", end=end))).items()
    assert "slow down" in failure.value.vendor_message
