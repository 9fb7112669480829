"""The calls of tools in answers, in every shape that vendors use, and what is sent of them."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from services.speech.ports.chat import (
    ChatItem,
    ChatMessage,
    ChatRequest,
    ChatUsage,
    Role,
    Tool,
    ToolCall,
)
from services.speech.ports.errors import ProviderMuteError, ProviderQuotaError
from tests.rpc.speech.test_chat_answers import QUESTION, ScriptedModel, answer, refusal
from tests.support.vendor_answers import DONE, JSON, REPLY, deltas, sse, stream

HOURS = Tool(
    name="hours",
    description="Tells when we open.",
    parameters={"type": "object", "properties": {"day": {"type": "string"}}},
)
CALL = ToolCall(call_id="a1", name="hours", arguments='{"day": "monday"}')
SECOND = ToolCall(call_id="b2", name="hours", arguments='{"day": "sunday"}')
REQUEST = ChatRequest(messages=tuple(QUESTION), tools=(HOURS,))
ANSWERED = ChatRequest(
    messages=(
        *QUESTION,
        ChatMessage(role=Role.ASSISTANT, content="One moment.", tool_calls=(CALL,)),
        ChatMessage(role=Role.TOOL, content="from nine", call_id="a1"),
    ),
    tools=(HOURS,),
)
END = {"delta": {}, "finish_reason": "tool_calls"}


def called(*items: dict[str, Any]) -> dict[str, Any]:
    return {"delta": {"tool_calls": list(items)}}


def function(call: ToolCall, **members: Any) -> dict[str, Any]:
    return {**members, "function": {"name": call.name, "arguments": call.arguments}}


def arguments(text: str, **members: Any) -> dict[str, Any]:
    return called({**members, "function": {"arguments": text}})


def head(call: ToolCall, **members: Any) -> dict[str, Any]:
    return called({**members, "function": {"name": call.name, "arguments": ""}})


async def items_of(scripted: ScriptedModel, request: ChatRequest = REQUEST) -> list[ChatItem]:
    return [item async for item in scripted.model.stream(request)]


def calls_of(items: Sequence[ChatItem]) -> list[tuple[str, Any]]:
    return [(each.name, json.loads(each.arguments)) for each in items if isinstance(each, ToolCall)]


BOTH = [("hours", {"day": "monday"}), ("hours", {"day": "sunday"})]

SHAPES = {
    "pieces": stream(
        head(CALL, index=0, id="a1"),
        arguments('{"day": ', index=0),
        arguments('"monday"}', index=0),
        head(SECOND, index=1, id="b2"),
        arguments('{"day": "sunday"}', index=1),
        END,
    ),
    "pieces of both in turn": stream(
        called(
            {"index": 0, "id": "a1", "function": {"name": "hours"}},
            {"index": 1, "id": "b2", "function": {"name": "hours"}},
        ),
        arguments('{"day": "mon', index=0),
        arguments('{"day": "sunday"}', index=1),
        arguments('day"}', index=0),
        END,
    ),
    "ids and names repeated": stream(
        called({"index": 0, "id": "a1", "function": {"name": "hours", "arguments": '{"day": '}}),
        called({"index": 0, "id": "a1", "function": {"name": "hours", "arguments": '"monday"}'}}),
        called(function(SECOND, index=1, id="b2")),
        END,
    ),
    "empty ids and names after the first": stream(
        head(CALL, index=0, id="a1"),
        called({"index": 0, "id": "", "function": {"name": "", "arguments": CALL.arguments}}),
        head(SECOND, index=1, id="b2"),
        called({"index": 1, "id": None, "function": {"name": None, "arguments": SECOND.arguments}}),
        END,
    ),
    "whole calls in one chunk": stream(
        called(function(CALL, index=0, id="a1"), function(SECOND, index=1, id="b2")), END
    ),
    "whole calls that all have index 0": stream(
        called(function(CALL, index=0, id="a1")), called(function(SECOND, index=0, id="b2")), END
    ),
    "without ids": stream(called(function(CALL, index=0)), called(function(SECOND, index=1)), END),
    "without ids and indexes": stream(called(function(CALL)), called(function(SECOND)), END),
    "arguments as an object": stream(
        called(
            {"index": 0, "id": "a1", "function": {"name": "hours", "arguments": {"day": "monday"}}},
            {"index": 1, "id": "b2", "function": {"name": "hours", "arguments": {"day": "sunday"}}},
        ),
        END,
    ),
    "finished as if it were a reply": stream(
        called(function(CALL, index=0, id="a1"), function(SECOND, index=1, id="b2")),
        {"delta": {"content": ""}, "finish_reason": "stop"},
    ),
    "the whole again": stream(
        called(function(CALL, index=0, id="a1")),
        called(function(SECOND, index=1, id="b2")),
        {
            "message": {"tool_calls": [function(CALL, id="a1"), function(SECOND, id="b2")]},
            "finish_reason": "tool_calls",
        },
    ),
    "a message": json.dumps(
        {
            "choices": [
                {
                    "message": {
                        "content": None,
                        "tool_calls": [function(CALL, id="a1"), function(SECOND, id="b2")],
                    },
                    "finish_reason": "tool_calls",
                }
            ]
        }
    ).encode(),
    "a message for each": b"".join(
        json.dumps(
            {
                "message": {
                    "content": "",
                    "tool_calls": [{"function": {"name": "hours", "arguments": {"day": day}}}],
                }
            }
        ).encode()
        + b"\n"
        for day in ("monday", "sunday")
    ),
}


@pytest.mark.parametrize("body", SHAPES.values(), ids=SHAPES)
async def test_calls_come_whole_and_in_order(body: bytes) -> None:
    items = await items_of(ScriptedModel(answer(body)))
    assert calls_of(items) == BOTH
    ids = [each.call_id for each in items if isinstance(each, ToolCall)]
    assert len(set(ids)) == 2
    assert all(ids)


async def test_the_old_form_of_a_call_counts() -> None:
    body = stream(
        {"delta": {"function_call": {"name": "hours", "arguments": ""}}},
        {"delta": {"function_call": {"arguments": '{"day": "monday"}'}}},
        {"delta": {}, "finish_reason": "function_call"},
    )
    assert calls_of(await items_of(ScriptedModel(answer(body)))) == BOTH[:1]


async def test_words_before_a_call_are_said_first() -> None:
    body = stream({"delta": {"content": "One moment."}}, called(function(CALL, index=0)), END)
    first, call = await items_of(ScriptedModel(answer(body)))
    assert first == "One moment."
    assert isinstance(call, ToolCall)


async def test_no_arguments_are_an_empty_object() -> None:
    body = stream(called({"index": 0, "id": "a1", "function": {"name": "hours"}}), END)
    assert calls_of(await items_of(ScriptedModel(answer(body)))) == [("hours", {})]


async def test_arguments_that_are_no_json_are_passed_on_as_they_are() -> None:
    body = stream(head(CALL, index=0, id="a1"), arguments('{"day": ', index=0), END)
    assert await items_of(ScriptedModel(answer(body))) == [
        ToolCall(call_id="a1", name="hours", arguments='{"day":')
    ]


async def test_a_call_without_a_tool_to_call_is_no_reply() -> None:
    body = stream(called(function(CALL, index=0)), END)
    with pytest.raises(ProviderMuteError, match="calls tools"):
        await items_of(ScriptedModel(answer(body)), ChatRequest(messages=tuple(QUESTION)))


async def test_the_dialogue_with_its_calls_is_sent() -> None:
    scripted = ScriptedModel(answer(deltas(REPLY)))
    await items_of(scripted, ANSWERED)
    assert scripted.sent[0]["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "hours",
                "description": "Tells when we open.",
                "parameters": HOURS.parameters,
            },
        }
    ]
    assert scripted.sent[0]["messages"][2:] == [  # type: ignore[index]
        {
            "role": "assistant",
            "content": "One moment.",
            "tool_calls": [
                {
                    "id": "a1",
                    "type": "function",
                    "function": {"name": "hours", "arguments": CALL.arguments},
                }
            ],
        },
        {"role": "tool", "content": "from nine", "tool_call_id": "a1"},
    ]


@pytest.mark.parametrize(
    "message",
    [
        "registry/some-model does not support tools",
        '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
        "Function calling is not enabled for this model",
        "tools param requires --jinja flag, tools are not supported",
    ],
)
async def test_a_model_without_tools_replies_without_them(message: str) -> None:
    replies = [answer(deltas(REPLY)), answer(deltas(REPLY))]
    scripted = ScriptedModel(refusal(message), *replies)
    for _ in replies:
        assert "".join(str(each) for each in await items_of(scripted, ANSWERED)) == REPLY
    for sent in scripted.sent[1:]:
        assert "tools" not in sent
        assert sent["messages"][2:] == [  # type: ignore[index]
            {"role": "assistant", "content": "One moment."},
            {"role": "user", "content": "from nine"},
        ]


USED = ChatUsage(input_tokens=12, cached_tokens=5, output_tokens=7)
USAGES: dict[str, dict[str, Any]] = {
    "details": {
        "prompt_tokens": 12,
        "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 5},
    },
    "a cache's hits": {
        "prompt_tokens": 12,
        "completion_tokens": 7,
        "prompt_cache_hit_tokens": 5,
        "prompt_cache_miss_tokens": 7,
    },
    "beside the others": {"prompt_tokens": 12, "completion_tokens": 7, "cached_tokens": 5},
}


@pytest.mark.parametrize("usage", USAGES.values(), ids=USAGES)
async def test_usage_comes_last(usage: dict[str, Any]) -> None:
    late = sse({"choices": [], "usage": usage}) + DONE
    scripted = ScriptedModel(answer(deltas(REPLY, end=late)), stream_options={})
    assert (await items_of(scripted))[-1] == USED


async def test_usage_in_each_chunk_counts_once() -> None:
    usage: dict[str, Any] = USAGES["details"]
    body = b"".join(
        sse({"choices": [{"delta": {"content": each}}], "usage": usage | {"completion_tokens": at}})
        for at, each in enumerate(("We open ", "at nine."))
    )
    end = sse({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": usage})
    assert await items_of(ScriptedModel(answer(body + end + DONE))) == [
        "We open ",
        "at nine.",
        USED,
    ]


async def test_usage_that_does_not_come_is_not_waited_for() -> None:
    """A vendor that leaves its stream open after the reply, and tells no usage."""
    body = deltas(REPLY, end=b"")
    scripted = ScriptedModel(
        answer(body, hangs=True), answer(body, hangs=True), stream_options={"include_usage": True}
    )
    assert await items_of(scripted) == [REPLY]
    assert await items_of(scripted) == [REPLY]


async def test_a_vendor_that_refuses_to_tell_usage_is_not_asked_again() -> None:
    replies = [answer(deltas(REPLY)), answer(deltas(REPLY))]
    scripted = ScriptedModel(
        refusal("Unrecognized request argument supplied: stream_options"),
        *replies,
        stream_options={"include_usage": True},
    )
    for _ in replies:
        assert await items_of(scripted) == [REPLY]
    assert ["stream_options" in each for each in scripted.sent] == [True, False, False]


@pytest.mark.parametrize(
    "message",
    [
        "Your credit balance is too low to access the API.",
        "Arrearage: Access denied, please make sure your account is in good standing.",
        "AccountOverdueError",
        "insufficient_quota: You exceeded your current quota",
    ],
)
async def test_a_used_up_quota_is_told_from_other_refusals(message: str) -> None:
    for refused in (
        answer(json.dumps({"error": {"message": message}}).encode(), JSON, 400),
        answer(json.dumps({"error": {"message": message}}).encode(), JSON, 403),
        answer(sse({"error": {"message": message}})),
    ):
        with pytest.raises(ProviderQuotaError) as failure:
            await items_of(ScriptedModel(refused))
        assert failure.value.vendor_message.endswith(message)
