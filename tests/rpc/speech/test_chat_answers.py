"""Whatever a vendor's model answers, its reply alone is spoken, or the fallback is asked."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from services.speech.answers import has_words
from services.speech.ports.chat import ChatMessage, ChatRequest, Role, Tool, ToolCall
from services.speech.ports.errors import ProviderError, ProviderMuteError, ProviderQuotaError
from services.speech.ports.stages import Stage
from services.speech.providers.failover.chat import FailoverChatModel
from services.speech.providers.failover.relay import FailoverRules
from services.speech.streams import Deadlines
from services.speech.vendors import openai_chat
from services.speech.vendors.chat.request import ChatBody
from services.speech.vendors.http import endings
from services.speech.vendors.http.client import Endpoint
from services.speech.vendors.http.parameters import Parameters
from services.speech.vendors.openai_chat import OpenAiChatModel
from tests.support.scripted_providers import ScriptedChat, text_of
from tests.support.vendor import Answer, scripted_vendor
from tests.support.vendor_answers import (
    CHAT_FAILURES,
    CHAT_REPLIES,
    DONE,
    JSON,
    MARKED,
    REPLY,
    SSE,
    STOP,
    THOUGHT,
    ScriptedBody,
    deltas,
    in_pieces,
    sse,
    stream,
    words,
)

QUESTION = [
    ChatMessage(role=Role.SYSTEM, content="You are a host."),
    ChatMessage(role=Role.USER, content="When do you open?"),
]
ENDPOINT = Endpoint(
    name="vendor",
    base_url="http://vendor.invalid/v1",
    api_key=None,
    model="some-model",
    deadlines=Deadlines(first_s=30, next_s=30, total_s=60),
)


class ScriptedModel:
    """A model behind a transport that answers each request with the next of the bodies."""

    def __init__(
        self, *answers: httpx.Response, name: str = ENDPOINT.model, **parameters: object
    ) -> None:
        self.sent: list[dict[str, object]] = []
        self.said = ""
        self._answers = list(answers)
        client = httpx.AsyncClient(
            base_url=ENDPOINT.base_url, transport=httpx.MockTransport(self._answer)
        )
        body = ChatBody(parameters=Parameters(values={"stream": True, **parameters}))
        self.model = OpenAiChatModel(client, replace(ENDPOINT, model=name), body)

    async def reply(self, messages: Sequence[ChatMessage] = QUESTION) -> str:
        self.said = ""
        async for delta in self.model.stream(ChatRequest(messages=tuple(messages))):
            assert isinstance(delta, str)
            self.said += delta
        return self.said

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(json.loads(request.content))
        return self._answers.pop(0)


def answer(
    body: bytes | Sequence[bytes], kind: str = SSE, status: int = 200, *, hangs: bool = False
) -> httpx.Response:
    pieces = [body] if isinstance(body, bytes) else body
    return httpx.Response(
        status, headers={"content-type": kind}, stream=ScriptedBody(pieces, hangs=hangs)
    )


@pytest.mark.parametrize(("kind", "body"), CHAT_REPLIES.values(), ids=CHAT_REPLIES)
async def test_the_reply_is_what_the_model_says_to_the_user(kind: str, body: bytes) -> None:
    assert (await ScriptedModel(answer(body, kind)).reply()).rstrip() == REPLY


@given(
    name=st.sampled_from(list(CHAT_REPLIES)), cuts=st.lists(st.integers(0, 100_000), max_size=40)
)
@settings(max_examples=40)
def test_it_is_the_same_wherever_the_bytes_are_cut(name: str, cuts: list[int]) -> None:
    kind, body = CHAT_REPLIES[name]
    scripted = ScriptedModel(answer(in_pieces(body, cuts), kind))
    assert asyncio.run(scripted.reply()).rstrip() == REPLY


@given(name=st.sampled_from(list(MARKED)), cuts=st.lists(st.integers(0, 1_000), max_size=20))
@settings(max_examples=40)
def test_it_is_the_same_wherever_the_text_is_cut(name: str, cuts: list[int]) -> None:
    tokens = in_pieces(MARKED[name], cuts)
    assert asyncio.run(ScriptedModel(answer(deltas(*tokens))).reply()).rstrip() == REPLY


@pytest.mark.parametrize("shape", ["whole", "by the byte"])
@pytest.mark.parametrize(("kind", "body"), CHAT_FAILURES.values(), ids=CHAT_FAILURES)
async def test_what_is_not_a_reply_is_a_failure_and_is_not_spoken(
    kind: str, body: bytes, shape: str
) -> None:
    pieces = [body] if shape == "whole" else [body[at : at + 1] for at in range(len(body))]
    scripted = ScriptedModel(answer(pieces, kind))
    with pytest.raises(ProviderError) as failure:
        await scripted.reply()
    assert failure.value.stage is Stage.CHAT
    assert failure.value.transient
    assert not has_words(scripted.said)


@pytest.mark.parametrize(("kind", "body"), CHAT_FAILURES.values(), ids=CHAT_FAILURES)
async def test_the_fallback_is_asked_instead(kind: str, body: bytes) -> None:
    first = ScriptedModel(answer(body, kind)).model
    second = ScriptedChat(name="two", deltas=("From ", "two."))
    async with FailoverChatModel.open([first, second], FailoverRules(first_byte_s=30)) as model:
        assert await text_of(model.stream(ChatRequest(messages=tuple(QUESTION)))) == "From two."
    assert second.prompts == [QUESTION]


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("a filter", "filtered"),
        ("a length", "cut by its length before"),
        ("thinking that never ends", "length while the model thinks"),
        ("only thinking, apart", "cut by its length while the model thinks"),
        ("an empty stop", "ends without a word"),
        ("thinking that stops", "ends while the model thinks"),
        ("only calls of tools", "calls tools"),
        ("a call in the text", "calls tools"),
        ("a call with a token", "calls tools"),
        ("a refusal", "refuses to reply"),
        ("an unknown shape", "without a word"),
    ],
)
async def test_the_error_says_why_there_are_no_words(name: str, what: str) -> None:
    kind, body = CHAT_FAILURES[name]
    with pytest.raises(ProviderMuteError, match=what):
        await ScriptedModel(answer(body, kind)).reply()


@pytest.mark.parametrize(
    "name", [name for name, (_, body) in CHAT_FAILURES.items() if b"overloaded" in body]
)
async def test_what_the_vendor_says_is_kept_for_the_log(name: str) -> None:
    kind, body = CHAT_FAILURES[name]
    with pytest.raises(ProviderError) as failure:
        await ScriptedModel(answer(body, kind)).reply()
    assert "overloaded" in failure.value.vendor_message
    assert "overloaded" not in str(failure.value)


@pytest.mark.parametrize("status", [402, 429])
async def test_a_used_up_quota_is_reported(status: int) -> None:
    with pytest.raises(ProviderQuotaError) as failure:
        await ScriptedModel(answer(b'{"error": {"message": "no credit"}}', JSON, status)).reply()
    assert failure.value.vendor_message == "no credit"


ORDINARY = (
    "3 < 4, and a<b but b>a.",
    "<b>Bold</b>, <i>or</i> <br/> <think-tank> not.",
    "See [1], [THIS] and [/that].",
    "I <3 you. |x| < |y|, <| that is all.",
    "Ends with <",
    "The thinking of <thinkers> is free.",
    "一 < 二，[思考]◁",
    "Here is how it works.\n### Input: the text.\n### Output: its sum.",
    "It has two parts.\n## User rights\nAll may look.\n### Instruction: sit.",
    "A short play.\nHuman: Hello!\nRobot: Hi!",
    "Response: this is one word.",
    "The <output> element, and </output>, hold a result.",
    "<output> is an element of HTML.",
)


@pytest.mark.parametrize("text", ORDINARY)
async def test_what_only_looks_like_a_marker_is_said(text: str) -> None:
    for tokens in ([text], words(text), list(text)):
        assert await ScriptedModel(answer(deltas(*tokens))).reply() == text


@pytest.mark.parametrize("before", ["3 < 4 and ", "a<b or ", "<b>so</b> ", "[1] is "])
async def test_only_what_may_become_a_marker_is_held_back(before: str) -> None:
    """The vendor writes on when what it wrote was said."""
    said = asyncio.Event()

    async def behave(vendor: Answer) -> None:
        await vendor.begin()
        await vendor.piece(stream({"delta": {"content": before}}, end=b""))
        await said.wait()
        await vendor.piece(deltas("right."))
        await vendor.end()

    async with scripted_vendor(behave) as vendor:
        endpoint = Endpoint(
            name="vendor",
            base_url=vendor.base_url,
            api_key=None,
            model="some-model",
            deadlines=ENDPOINT.deadlines,
        )
        async with OpenAiChatModel.open(endpoint) as model:
            heard = []
            async for delta in model.stream(ChatRequest(messages=tuple(QUESTION))):
                heard.append(delta)
                said.set()
            assert heard == [before, "right."]


@pytest.mark.parametrize(
    "body",
    [
        stream({"delta": {"content": REPLY}}, STOP, end=b""),
        deltas(*words(REPLY), "<|im_end|>", finish=None, end=b""),
        deltas(*words(REPLY)),
    ],
    ids=["after its finish", "after a token", "after the end"],
)
async def test_a_vendor_that_never_closes_its_stream_is_not_waited_for(body: bytes) -> None:
    assert await ScriptedModel(answer(body, hangs=True)).reply() == REPLY


async def test_an_error_after_words_fails_the_reply() -> None:
    body = stream({"delta": {"content": "We open "}}, end=sse({"error": {"message": "gone"}}))
    second = ScriptedChat(name="two")
    first = ScriptedModel(answer(body)).model
    async with FailoverChatModel.open([first, second], FailoverRules(first_byte_s=30)) as model:
        said = model.stream(ChatRequest(messages=tuple(QUESTION)))
        assert await anext(said) == "We open "
        with pytest.raises(ProviderError):
            await anext(said)
    assert second.prompts == []


async def test_a_model_that_thinks_before_its_first_tag_is_remembered() -> None:
    strange = "Opening hours were asked for, it seems."
    bodies = [deltas(*words(f"{each}\n</think>\n{REPLY}")) for each in (THOUGHT, strange, strange)]
    scripted = ScriptedModel(*map(answer, bodies))
    assert [await scripted.reply() for _ in bodies] == [REPLY] * 3


HOURS = Tool(name="hours", description="Tells the hours.", parameters={"type": "object"})
CALL = '{"name": "hours", "arguments": {"day": "Monday"}}'
DRAFT = '{"name": "hours", "arguments": {"day": "Sunday"}}'


async def called(response: httpx.Response) -> tuple[str, list[ToolCall]]:
    """Return what a model says and calls that has a tool."""
    request = ChatRequest(messages=tuple(QUESTION), tools=(HOURS,))
    items = [item async for item in ScriptedModel(response).model.stream(request)]
    said = "".join(item for item in items if isinstance(item, str))
    return said, [item for item in items if isinstance(item, ToolCall)]


@pytest.mark.parametrize(
    ("text", "said", "arguments"),
    [
        (CALL, "", [{"day": "Monday"}]),
        (f"One moment. {CALL}.", "One moment. ", [{"day": "Monday"}]),
        (f"<tool_call>\n{CALL}\n</tool_call>" * 2, "", [{"day": "Monday"}] * 2),
        ('```json\n[{"name": "hours", "parameters": {}}]\n```', "", [{}]),
        ('{"tool_calls": [{"function": {"name": "hours", "arguments": "{}"}}]}', "", [{}]),
        ('<|python_tag|>{"name": "hours"}', "", [{}]),
        (f'<tool_call>{{"name": "doors"}}</tool_call><tool_call>{CALL}', "", [{"day": "Monday"}]),
        (f"One moment.\n{CALL}\n", "One moment.\n", [{"day": "Monday"}]),
        (f"I need to look.\n{CALL}", "I need to look.\n", [{"day": "Monday"}]),
        ('{"function": "hours", "parameters": {}}', "", [{}]),
        ('{"tool": "hours", "args": {}}', "", [{}]),
        ('{"action": "hours", "action_input": {}}', "", [{}]),
        ('<|START_ACTION|>[{"tool_name": "hours", "parameters": {}}]<|END_ACTION|>', "", [{}]),
        (f"<think>Perhaps {DRAFT}.</think><tool_call>{CALL}", "", [{"day": "Monday"}]),
        (f"We need to call {DRAFT}.</think>{CALL}", "", [{"day": "Monday"}]),
        (f"<think>{'Well. ' * 2_000}</think>{CALL}", "", [{"day": "Monday"}]),
        (f"{CALL}<tool_response>{DRAFT}</tool_response>It is open.", "", [{"day": "Monday"}]),
        (f"<tool_call>{CALL}</tool_call>It is open. {DRAFT}", "", [{"day": "Monday"}]),
        (f"{CALL}<|im_end|>\n<|im_start|>user\n{DRAFT}", "", [{"day": "Monday"}]),
    ],
)
async def test_calls_that_are_written_into_the_text_are_made(
    text: str, said: str, arguments: list[object]
) -> None:
    for tokens in ([text], words(text), list(text)):
        heard, calls = await called(answer(deltas(*tokens)))
        assert heard == said
        assert [(each.name, json.loads(each.arguments)) for each in calls] == [
            ("hours", each) for each in arguments
        ]
        assert len({each.call_id for each in calls}) == len(calls)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"<think>I could call {CALL} but why?</think>{REPLY}", REPLY),
        (f"<think>So <tool_call>{CALL}</tool_call> or not?</think>{REPLY}", REPLY),
        (f"I need to call\n{CALL}\n</think>{REPLY}", REPLY),
        (
            f"<|channel|>analysis<|message|>{CALL}<|end|>"
            f"<|start|>assistant<|channel|>final<|message|>{REPLY}<|return|>",
            REPLY,
        ),
        (f"A call looks like this: {CALL} and I make none.", "A call looks like this: "),
        (f"Write ```json\n{CALL}\n``` for it.", "Write "),
        (f"It is this:\n{CALL} is what to write.", "It is this:\n"),
    ],
)
async def test_calls_that_the_model_only_thinks_of_or_shows_are_not_made(
    text: str, said: str
) -> None:
    for tokens in ([text], words(text), list(text)):
        assert await called(answer(deltas(*tokens))) == (said, [])


async def test_a_vendor_that_never_ends_its_stream_has_its_whole_calls_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endings, "END_S", 0.01)
    for text in (f"{CALL} <tool_response>", f"<tool_call>{CALL}</tool_call>It is open."):
        _, calls = await called(answer(deltas(text, finish=None, end=b""), hangs=True))
        assert [each.name for each in calls] == ["hours"]
    # Here another call may follow.
    monkeypatch.setattr(openai_chat, "CALL_S", 0.05)
    _, calls = await called(answer(deltas(CALL, finish=None, end=b""), hangs=True))
    assert [each.name for each in calls] == ["hours"]


@pytest.mark.parametrize(
    ("text", "finish", "why"),
    [
        ("<tool_call>{", "length", "cut by its length in a call"),
        ('<tool_call>{"name": "doors"}', "stop", "in no known form"),
        ("<tool_call>" + '{"a":' * 9_000, "stop", "in no known form"),
    ],
    ids=("cut", "unknown", "endless"),
)
async def test_a_call_that_cannot_be_read_is_a_failure(text: str, finish: str, why: str) -> None:
    model = ScriptedModel(answer(deltas(text, finish=finish)))
    request = ChatRequest(messages=tuple(QUESTION), tools=(HOURS,))
    with pytest.raises(ProviderMuteError, match=why):
        _ = [item async for item in model.model.stream(request)]


@pytest.mark.parametrize("name", ["deepseek-ai/DeepSeek-R1-0528", "qwq:32b", "qwen3-thinking"])
@pytest.mark.parametrize("text", [REPLY, f"It was asked.</think>{REPLY}", MARKED["think"]])
async def test_a_model_whose_name_says_that_it_thinks_is_held_back(name: str, text: str) -> None:
    assert await ScriptedModel(answer(deltas(*words(text))), name=name).reply() == REPLY


@pytest.mark.parametrize("tokens", [[REPLY, "</think>"], [REPLY[:9], f"{REPLY[9:]}</think>"]])
async def test_a_tag_after_the_reply_removes_nothing_from_it(tokens: list[str]) -> None:
    scripted = ScriptedModel(answer(deltas(*tokens)), answer(deltas(*words(REPLY))))
    assert [await scripted.reply() for _ in range(2)] == [REPLY] * 2


@pytest.mark.parametrize(
    "thought",
    [
        "Okay, so the user is asking about the hours.",
        "Hmm, hours.",
        "The visitor's message is short.",
        "Visitor asks when we open.",
        "The question is about hours.",
        "So, they want to know when we open.",
        "We need to answer briefly.",
        "Let me check the facts.",
        "First, I look into the facts.",
        "好的，用户问开放时间。",
        "嗯，访客想知道时间。",
    ],
)
async def test_text_that_begins_like_thinking_is_held_until_its_tag(thought: str) -> None:
    for tokens in (words(f"{thought}\n</think>\n\n{REPLY}"), list(f"{thought}</think>{REPLY}")):
        assert await ScriptedModel(answer(deltas(*tokens))).reply() == REPLY


async def test_a_reply_that_begins_like_thinking_is_still_spoken() -> None:
    reply = "We need to see your ticket, please."
    scripted = ScriptedModel(answer(deltas(*words(reply))))
    assert await scripted.reply() == reply


async def test_a_reply_cut_by_its_length_is_spoken_and_logged() -> None:
    with capture_logs() as logs:
        await ScriptedModel(answer(deltas(REPLY, finish="length"))).reply()
    assert [(each["event"], each["reason"]) for each in logs] == [("reply cut", "length")]


def refusal(message: str, status: int = 400, **members: object) -> httpx.Response:
    body = json.dumps({"error": {"message": message, **members}}).encode()
    return answer(body, JSON, status)


MAX_TOKENS = "Unsupported parameter: 'max_tokens' is not supported with this model. Use"
TEMPERATURE = "'temperature' does not support 0.5 with this model. Only the default (1) value"


@pytest.mark.parametrize(
    ("refusals", "sent"),
    [
        ([refusal(f"{MAX_TOKENS} 'max_completion_tokens' instead.")], {"max_completion_tokens": 9}),
        ([refusal(TEMPERATURE, param="temperature")], {"max_tokens": 9}),
        ([refusal("no", param="max_tokens"), refusal(TEMPERATURE)], {"max_completion_tokens": 9}),
        (
            [refusal("max_tokens is unknown"), refusal("max_completion_tokens is unknown")],
            {"temperature": 0.5},
        ),
        (
            [
                answer(
                    b'{"detail": [{"loc": ["body", "temperature"], "msg": "Extra inputs"}]}',
                    JSON,
                    422,
                )
            ],
            {"max_tokens": 9},
        ),
    ],
    ids=["renamed", "dropped", "both", "renamed in vain", "a list of details"],
)
async def test_a_parameter_that_is_refused_is_not_sent_again(
    refusals: list[httpx.Response], sent: dict[str, object]
) -> None:
    replies = [answer(deltas(REPLY)), answer(deltas(REPLY))]
    scripted = ScriptedModel(*refusals, *replies, max_tokens=9, temperature=0.5)
    assert [await scripted.reply() for _ in replies] == [REPLY] * 2
    chosen = {"max_tokens", "max_completion_tokens", "temperature"}
    last = [{key: each[key] for key in chosen & each.keys()} for each in scripted.sent]
    for each in last[len(refusals) :]:
        assert each.items() >= sent.items()
    assert len(scripted.sent) == len(refusals) + len(replies)
    assert last[-1].keys() <= sent.keys() | {"temperature"}


async def test_a_model_without_a_system_role_gets_the_prompt_from_the_user() -> None:
    replies = [answer(deltas(REPLY)), answer(deltas(REPLY))]
    scripted = ScriptedModel(refusal("System role not supported"), *replies)
    assert [await scripted.reply() for _ in replies] == [REPLY] * 2
    expected = [{"role": "user", "content": "You are a host.\n\nWhen do you open?"}]
    assert [each["messages"] for each in scripted.sent[1:]] == [expected] * 2


@pytest.mark.parametrize("status", [400, 422])
async def test_a_refusal_that_names_nothing_of_ours_is_not_argued_with(status: int) -> None:
    scripted = ScriptedModel(refusal("the roles must alternate", status), temperature=0.5)
    with pytest.raises(ProviderError) as failure:
        await scripted.reply()
    assert not failure.value.transient
    assert len(scripted.sent) == 1


async def test_a_model_that_refuses_everything_is_asked_a_bounded_number_of_times() -> None:
    message = "stream, max_tokens, max_completion_tokens and temperature are bad"
    scripted = ScriptedModel(*(refusal(message) for _ in range(9)), max_tokens=9, temperature=0.5)
    with pytest.raises(ProviderError):
        await scripted.reply()
    assert len(scripted.sent) == 5


async def test_a_model_that_cannot_stream_answers_whole() -> None:
    body = json.dumps({"choices": [{"message": {"content": REPLY}}]}).encode()
    scripted = ScriptedModel(refusal("no", param="stream"), answer(body, JSON))
    assert await scripted.reply() == REPLY
    assert "stream" not in scripted.sent[1]


async def test_an_end_mark_is_an_end() -> None:
    body = stream({"delta": {"content": REPLY}}, end=DONE)
    assert await ScriptedModel(answer(body)).reply() == REPLY
