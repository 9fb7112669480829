"""Messages that break the rules of an open line, and how they are answered."""

import json
import re
from typing import Any

import httpx
import pytest
from websockets.frames import CloseCode, Frame, Opcode

from services.speech.personas.tool_format import ToolsTable
from services.speech.ports.chat import ChatItem, ChatRequest
from tests.support.fake_tasks import TASK_ID
from tests.support.loudness import voiced
from tests.support.sockets import calling, gateway_before
from tests.support.speech_rig import Script, speech_rig
from tests.support.tool_chat import ToolChat, called, results

PROSE = ("detail", "error", "metadata", "violations")


def frame(opcode: Opcode, payload: bytes, *, fin: bool = True) -> bytes:
    """A client's frame."""
    return Frame(opcode, payload, fin=fin).serialize(mask=True)


RULES = [
    ({"type": "text", "text": "hi", "requestId": "1"}, "requestId", "uuid"),
    (
        {"type": "say", "text": "hi", "requestId": "3f2b8c1e5d0a4c7b9a610e8f2d4b6c90"},
        "requestId",
        "uuid",
    ),
    ({"type": "text", "text": " \n"}, "text", "not_blank"),
    ({"type": "text", "text": "\0"}, "text", "not_blank"),
    ({"type": "say", "text": "\u200b\u2028\x1b"}, "text", "not_blank"),
    ({"type": "text", "text": ""}, "text", "min_length"),
    ({"type": "text", "text": "a" * 4001}, "text", "max_length"),
    ({"type": "text"}, "text", "required"),
    ({"type": "text", "text": 5}, "text", "string"),
    ({"type": "say", "text": "hi", "priority": "URGENT"}, "priority", "enum"),
    ({"type": "dance"}, "type", "enum"),
    ({"type": "commit"}, "type", "manual_only"),
    ({"type": "tool_result", "result": "done"}, "callId", "required"),
]


@pytest.mark.parametrize(("message", "field", "rule"), RULES)
async def test_the_rule_that_a_message_breaks_is_told(
    message: dict[str, str], field: str, rule: str
) -> None:
    async with speech_rig() as rig, gateway_before(rig) as url, calling(url) as caller:
        await caller.send(**message)
        await caller.closed()
        assert caller.problem is not None
        (violation,) = caller.problem["violations"]
        assert (violation["field"], violation["rule"]) == (field, rule)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"after": 99}, "after"),
        ({"lang": "fr"}, "lang"),
        ({"lang": "??"}, "lang"),
    ],
)
async def test_fields_are_named_as_the_client_names_them(query: dict[str, Any], named: str) -> None:
    async with speech_rig() as rig, gateway_before(rig) as url, calling(url, **query) as caller:
        await caller.closed()
        assert caller.problem is not None
        told = json.dumps({name: caller.problem[name] for name in PROSE})
        assert named in told
        assert not re.search(r"[a-z]_[a-z]|setup", told)


@pytest.mark.parametrize("text", ["你", "?", "👋", "é\0", "e\u0301"])
async def test_whatever_can_be_read_is_a_question(text: str) -> None:
    async with speech_rig() as rig, gateway_before(rig) as url, calling(url) as caller:
        await caller.send(type="text", text=text)
        assert (await caller.until("turn_started"))["transcript"] == text.strip()


async def test_a_button_that_is_only_tapped_changes_nothing() -> None:
    async with (
        speech_rig() as rig,
        gateway_before(rig) as url,
        calling(url, turnDetection="MANUAL") as caller,
    ):
        for _ in range(2):
            await caller.send(type="commit")
            assert (await caller.until("speech_dismissed"))["reason"] == "NOISE"
        await caller.speak(voiced(1))
        await caller.send(type="commit")
        assert (await caller.until("turn_finished"))["interrupted"] is False


BROKEN = {
    "long-text": (
        [frame(Opcode.TEXT, b"a" * (2**20 + 1))],
        CloseCode.MESSAGE_TOO_BIG,
        "PAYLOAD_TOO_LARGE",
    ),
    "long-sound": (
        [frame(Opcode.BINARY, bytes(3 * 2**20))],
        CloseCode.MESSAGE_TOO_BIG,
        "PAYLOAD_TOO_LARGE",
    ),
    "long-in-pieces": (
        [
            frame(Opcode.TEXT, b"a" * 2**19, fin=False),
            frame(Opcode.CONT, b"a" * 2**19, fin=False),
            frame(Opcode.CONT, b"a"),
        ],
        CloseCode.MESSAGE_TOO_BIG,
        "PAYLOAD_TOO_LARGE",
    ),
    "no-utf-8": (
        [frame(Opcode.TEXT, b"\xff\xfe")],
        CloseCode.INVALID_DATA,
        "MALFORMED_MESSAGE",
    ),
    "no-beginning": (
        [frame(Opcode.CONT, b"a")],
        CloseCode.PROTOCOL_ERROR,
        "MALFORMED_MESSAGE",
    ),
    "unknown-kind": ([b"\x83\x80\0\0\0\0"], CloseCode.PROTOCOL_ERROR, "MALFORMED_MESSAGE"),
}


@pytest.mark.parametrize(("sent", "code", "reason"), BROKEN.values(), ids=BROKEN.keys())
async def test_what_the_protocol_refuses_is_told_before_the_close(
    sent: list[bytes], code: int, reason: str
) -> None:
    async with speech_rig() as rig, gateway_before(rig) as url, calling(url) as caller:
        caller.connection.transport.write(b"".join(sent))
        assert await caller.closed() == code
        assert caller.problem is not None
        assert caller.problem["reason"] == reason
        assert caller.problem["instance"] == "/api/digital-human/talk"
        assert caller.problem["requestId"]


CLIENT_TOOL = ToolsTable.model_validate({"client": [{"name": "show", "description": "Shows."}]})


def shows(request: ChatRequest) -> list[ChatItem]:
    """Call the app's function, then say what it returned."""
    found = results(request.messages)
    return [f"I see: {found[0].splitlines()[-1]}"] if found else [called("show")]


@pytest.mark.parametrize("way", ["line", "post"])
async def test_an_app_returns_what_its_function_did(way: str) -> None:
    script = Script(model=ToolChat(script=shows), tools=CLIENT_TOOL)
    async with speech_rig(script) as rig, gateway_before(rig) as url, calling(url) as caller:
        await caller.send(type="text", text="Could you show me?")
        told = await caller.until("tool_called")
        assert (told["name"], told["arguments"], told["turnId"]) == ("show", "{}", 1)
        answer = {"callId": told["callId"], "result": "it is there"}
        if way == "line":
            await caller.send(type="tool_result", **answer)
        else:
            base_url = url.replace("ws", "http", 1)
            async with httpx.AsyncClient(base_url=base_url, timeout=30) as client:
                path = "/api/digital-human/tool-result"
                posted = await client.post(path, json={"taskId": TASK_ID, **answer})
                assert posted.json() == {"success": True, "message": "Result taken"}
                posted = await client.post(path, json={"taskId": TASK_ID})
                assert posted.json()["violations"][0]["field"] == "callId"
        finished = await caller.until("turn_finished")
    assert finished["heard"] == "I see: it is there"
    [made] = finished["toolCalls"]
    assert (made["callId"], made["name"], made["outcome"]) == (told["callId"], "show", "SUCCEEDED")
