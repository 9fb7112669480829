"""Tools in conversations: what is called, what the model is told, and what is recorded."""

import asyncio
import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from digitalhuman.conversation.v1 import conversation_pb2 as events_pb
from digitalhuman.speech.v1 import speech_pb2 as pb
from digitalhuman.task.v1 import task_pb2
from services.speech.dialogue.replies import HISTORY_TURNS
from services.speech.personas.tool_format import ToolsTable
from services.speech.ports.chat import ChatItem, ChatRequest, Role
from services.speech.tools.toolbox import open_toolsets
from tests.support.converse import COMMIT, INTERRUPT, Talk, audio, setup, text
from tests.support.fake_tasks import TASK_ID
from tests.support.loudness import silent, voiced
from tests.support.scripted_personas import scripted_personas
from tests.support.scripted_providers import ScriptedRecognizer, ScriptedSynthesizer
from tests.support.speech_rig import Script, speech_rig
from tests.support.tool_chat import ToolChat, called, results
from tests.support.tool_server import ToolServer

SCHEMA = {
    "type": "object",
    "properties": {"day": {"type": "string"}},
    "required": ["day"],
    "additionalProperties": False,
}


def http_tools(url: str, **options: Any) -> ToolsTable:
    """Return the tools of a persona that has one over HTTP."""
    tool = {"name": "hours", "description": "Hours.", "url": url, "parameters": SCHEMA, **options}
    return ToolsTable.model_validate({"http": [tool]})


async def nine(arguments: dict[str, Any]) -> str:
    return f"We open at nine on {arguments['day']}."


def asks(request: ChatRequest) -> Sequence[ChatItem]:
    """Call the tool once, then say what it answered."""
    found = results(request.messages)
    if not found:
        return ["Let me see.", called("hours", '{"day": "monday"}')]
    return [f"I heard: {found[-1].splitlines()[-1]}"]


async def test_the_model_replies_with_what_a_tool_answers() -> None:
    chat = ToolChat(script=asks)
    async with (
        ToolServer.open(nine) as server,
        speech_rig(Script(model=chat, tools=http_tools(server.url))) as rig,
        Talk.open(rig) as talk,
    ):
        await talk.send(text("Could you check that?"))
        await talk.finish()
    finished = talk.last("turn_finished")
    assert finished.heard_text == "Let me see.\n\nI heard: We open at nine on monday."
    assert server.arguments == [{"day": "monday"}]
    [made] = finished.tool_calls
    assert (made.name, made.arguments) == ("hours", '{"day": "monday"}')
    assert made.outcome == events_pb.TOOL_OUTCOME_SUCCEEDED
    assert made.HasField("duration")
    assert [tool.name for tool in chat.requests[0].tools] == ["hours"]


async def test_what_was_called_is_remembered() -> None:
    chat = ToolChat(script=asks)
    async with (
        ToolServer.open(nine) as server,
        speech_rig(Script(model=chat, tools=http_tools(server.url))) as rig,
        Talk.open(rig) as talk,
    ):
        for question in ("Could you check that?", "Sure?"):
            await talk.send(text(question))
            await talk.until("turn_finished")
    roles = [message.role for message in chat.requests[2].messages]
    assert roles == [
        Role.SYSTEM,
        Role.USER,
        Role.ASSISTANT,
        Role.TOOL,
        Role.ASSISTANT,
        Role.USER,
    ]


@pytest.mark.parametrize(
    ("call", "outcome", "told"),
    [
        (called("hours", "{"), events_pb.TOOL_OUTCOME_REFUSED, "not JSON"),
        (called("hours", "[" * 5_000), events_pb.TOOL_OUTCOME_REFUSED, "not JSON"),
        (called("hours", "[]"), events_pb.TOOL_OUTCOME_REFUSED, "not a JSON object"),
        (called("hours", '{"day": 5}'), events_pb.TOOL_OUTCOME_REFUSED, "day: 5 is not of type"),
        (called("hours", "{}"), events_pb.TOOL_OUTCOME_REFUSED, "'day' is a required property"),
        (called("other"), events_pb.TOOL_OUTCOME_REFUSED, "there is no tool other"),
    ],
)
async def test_a_call_that_cannot_be_made_is_told_to_the_model(
    call: ChatItem, outcome: int, told: str
) -> None:
    def script(request: ChatRequest) -> Sequence[ChatItem]:
        return ["I could not."] if results(request.messages) else [call]

    chat = ToolChat(script=script)
    async with (
        ToolServer.open(nine) as server,
        speech_rig(Script(model=chat, tools=http_tools(server.url))) as rig,
        Talk.open(rig) as talk,
    ):
        await talk.send(text("Could you check that?"))
        await talk.finish()
    assert told in results(chat.requests[1].messages)[0]
    assert [each.outcome for each in talk.last("turn_finished").tool_calls] == [outcome]
    assert not server.arguments


async def test_a_tool_that_fails_is_told_to_the_model() -> None:
    chat = ToolChat(script=asks)

    async def fail(arguments: dict[str, Any]) -> str:
        return "out of order"

    async with (
        ToolServer.open(fail) as server,
        speech_rig(Script(model=chat, tools=http_tools(server.url))) as rig,
        Talk.open(rig) as talk,
    ):
        server.status = 503
        await talk.send(text("Could you check that?"))
        await talk.finish()
    assert "status 503: out of order" in results(chat.requests[1].messages)[0]


async def test_a_tool_that_is_late_is_told_to_the_model() -> None:
    chat = ToolChat(script=asks)
    late = asyncio.Event()

    async def wait(arguments: dict[str, Any]) -> str:
        await late.wait()
        return "at last"

    async with (
        ToolServer.open(wait) as server,
        speech_rig(Script(model=chat, tools=http_tools(server.url, timeout_s=0.2))) as rig,
        Talk.open(rig) as talk,
    ):
        await talk.send(text("Could you check that?"))
        await talk.finish()
        late.set()
    assert "no result within 0.2 seconds" in results(chat.requests[1].messages)[0]


async def test_a_result_is_cut_at_its_limit() -> None:
    chat = ToolChat(script=asks)
    async with (
        ToolServer.open(nine) as server,
        speech_rig(Script(model=chat, tools=http_tools(server.url, result_characters=7))) as rig,
        Talk.open(rig) as talk,
    ):
        await talk.send(text("Could you check that?"))
        await talk.finish()
    assert results(chat.requests[1].messages)[0].endswith("\nWe open… (cut)")


async def test_a_model_that_only_calls_comes_to_an_end() -> None:
    def script(request: ChatRequest) -> Sequence[ChatItem]:
        day = len(results(request.messages))
        return ["So. ", called("hours", json.dumps({"day": str(day)}))]

    async with (
        ToolServer.open(nine) as server,
        speech_rig(Script(model=ToolChat(script=script), tools=http_tools(server.url))) as rig,
        Talk.open(rig) as talk,
    ):
        await talk.send(text("Could you check that?"))
        await talk.finish()
    outcomes = [each.outcome for each in talk.last("turn_finished").tool_calls]
    assert outcomes == [events_pb.TOOL_OUTCOME_SUCCEEDED] * 5 + [events_pb.TOOL_OUTCOME_REFUSED]
    assert len(server.arguments) == 5


CLIENT = ToolsTable.model_validate(
    {"client": [{"name": "hours", "description": "Hours.", "parameters": SCHEMA}]}
)


def tool_result(call_id: str, result: str, *, failed: bool = False) -> pb.ConverseRequest:
    """Return the answer of an app."""
    answer = pb.ConverseToolResult(call_id=call_id, result=result, failed=failed)
    return pb.ConverseRequest(tool_result=answer)


async def test_the_app_is_called_and_answers() -> None:
    chat = ToolChat(script=asks)
    async with speech_rig(Script(model=chat, tools=CLIENT)) as rig, Talk.open(rig) as talk:
        await talk.send(text("Could you check that?"))
        event = await talk.until("tool_called")
        assert event.turn_id == 1
        assert event.tool_called.name == "hours"
        assert json.loads(event.tool_called.arguments) == {"day": "monday"}
        call_id = event.tool_called.call_id
        await talk.send(
            tool_result("unknown", "what?"),
            tool_result(call_id, "shown"),
            tool_result(call_id, "again"),
        )
        await talk.finish()
    assert talk.last("turn_finished").heard_text == "Let me see.\n\nI heard: shown"


async def test_an_app_that_fails_is_told_to_the_model() -> None:
    chat = ToolChat(script=asks)
    async with speech_rig(Script(model=chat, tools=CLIENT)) as rig, Talk.open(rig) as talk:
        await talk.send(text("Could you check that?"))
        event = await talk.until("tool_called")
        await talk.send(tool_result(event.tool_called.call_id, "no such product", failed=True))
        await talk.finish()
    assert results(chat.requests[1].messages) == ["Error (failed): no such product"]


async def test_a_call_that_was_interrupted_is_not_made_twice() -> None:
    """The model asks for the same again while the tool still works: it gets that result."""
    chat = ToolChat(script=asks)
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def work(arguments: dict[str, Any]) -> str:
        begun.set()
        await goes_on.wait()
        return await nine(arguments)

    async with (
        ToolServer.open(work) as server,
        speech_rig(Script(model=chat, tools=http_tools(server.url))) as rig,
        Talk.open(rig) as talk,
    ):
        await talk.send(text("Could you check that?"))
        await begun.wait()
        await talk.send(INTERRUPT)
        cut = (await talk.until("turn_finished")).turn_finished
        assert [each.outcome for each in cut.tool_calls] == [events_pb.TOOL_OUTCOME_UNSPECIFIED]
        await talk.send(text("Well?"))
        await talk.until("turn_started")
        while len(chat.requests) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        goes_on.set()
        await talk.finish()
    assert "still working" in chat.requests[1].messages[3].content
    assert "at nine" in talk.last("turn_finished").heard_text
    assert len(server.arguments) == 1


def told_days(chat: ToolChat) -> set[str]:
    """Return the days whose results the model was told."""
    told = {message.content for request in chat.requests for message in request.messages}
    return {each.split()[-1] for each in told if "result of day" in each}


async def test_interruptions_lose_no_result_and_repeat_no_call() -> None:
    """200 interruptions at random moments around calls."""
    chance = random.Random(11)

    def script(request: ChatRequest) -> Sequence[ChatItem]:
        day = request.messages[-1 - 2 * len(results(request.messages))].content.split()[-1]
        if results(request.messages):
            return [f"It is {day}, and that is all there is to say."]
        return ["Let me see.", called("hours", json.dumps({"day": day}))]

    async def work(arguments: dict[str, Any]) -> str:
        await asyncio.sleep(chance.choice((0.0, 0.002, 0.01, 0.04)))
        return f"result of {arguments['day']}"

    chat = ToolChat(script=script)
    outcomes: list[str] = []
    async with (
        ToolServer.open(work) as server,
        speech_rig(Script(model=chat, tools=http_tools(server.url))) as rig,
        Talk.open(rig) as talk,
    ):
        for number in range(200):
            await talk.send(text(f"What about day{number}"))
            await talk.until("turn_started")
            await asyncio.sleep(chance.choice((0.0, 0.001, 0.004, 0.01, 0.02, 0.05)))
            await talk.send(INTERRUPT)
            event = await talk.until("turn_finished")
            outcomes += [each.name for each in event.turn_finished.tool_calls]
        # The last ones may still run when the next question is asked.
        number = 200
        while told_days(chat) != {each["day"] for each in server.arguments}:
            assert number < 200 + HISTORY_TURNS
            await talk.send(text(f"What about day{number}"))
            event = await talk.until("turn_finished")
            outcomes += [each.name for each in event.turn_finished.tool_calls]
            number += 1
    days = [each["day"] for each in server.arguments]
    assert len(days) > 50
    assert len(set(days)) == len(days)
    assert set(server.keys.values()) == {1}
    assert len(outcomes) == len(days)


async def test_a_reference_mcp_server_answers_a_spoken_question() -> None:
    """The official server for times, started as a program."""
    server = Path(sys.executable).with_name("mcp-server-time")
    tools = ToolsTable.model_validate(
        {
            "mcp": [
                {
                    "name": "time",
                    "command": [str(server), "--local-timezone", "UTC"],
                    "allow": ["convert_time"],
                }
            ]
        }
    )
    arguments = {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}

    def script(request: ChatRequest) -> Sequence[ChatItem]:
        found = results(request.messages)
        if not found:
            return [called("convert_time", json.dumps(arguments))]
        converted = json.loads(found[0].split("\n", 1)[1])
        return [f"In Tokyo it is {converted['target']['datetime'][11:16]}."]

    chat = ToolChat(script=script)
    recognizer = ScriptedRecognizer(hypotheses=("What is noon for you in Tokyo?",))
    async with (
        speech_rig(Script(model=chat, tools=tools, recognizer=recognizer)) as rig,
        Talk.open(rig) as talk,
    ):
        await talk.send(*audio(silent(0.5) + voiced(1) + silent(0.5)), COMMIT)
        await talk.finish()
    assert talk.last("turn_finished").heard_text == "In Tokyo it is 21:00."
    assert [tool.name for tool in chat.requests[0].tools] == ["convert_time"]


async def test_a_filler_is_heard_and_nothing_else() -> None:
    """It is cut when the reply goes on, and the ledger knows where the reply's words are."""
    said = asyncio.Event()
    # So slowly that the filler is longer than the way of the tool's answer takes.
    synthesizer = ScriptedSynthesizer(character_s=0.2)

    async def work(arguments: dict[str, Any]) -> str:
        await said.wait()
        return "nine"

    chat = ToolChat(script=asks)
    async with ToolServer.open(work) as server:
        tools = http_tools(server.url).model_copy(
            update={"filler_after_s": 0.2, "gesture": "think"}
        )
        async with (
            speech_rig(Script(model=chat, tools=tools, synthesizer=synthesizer)) as rig,
            Talk.open(rig) as talk,
        ):
            await talk.send(text("Could you check that?"))
            while not ("One moment." in synthesizer.spoken and rig.avatars.gestures):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            said.set()
            await talk.finish()
            [drive] = rig.avatars.drives
            assert rig.avatars.gestures == ["think"]
    finished = talk.last("turn_finished")
    assert finished.heard_text == finished.reply_text == "Let me see.\n\nI heard: nine"
    assert finished.ledger.heard_method == events_pb.HEARD_METHOD_COMPLETE
    assert finished.ledger.produced_duration.ToMilliseconds() * 48 == len(drive.pcm)
    first, second = finished.segments
    silence = second.audio_start_offset.ToTimedelta() - first.audio_end_offset.ToTimedelta()
    assert 0 < silence.total_seconds() < len("One moment.") * synthesizer.character_s
    assert [each.text for each in sentences_of(talk)] == ["Let me see.", "I heard: nine"]
    # Words are heard where their sound is.
    assert second.words[0].start_offset.ToMilliseconds() == 0


def sentences_of(talk: Talk) -> list[events_pb.SentenceStarted]:
    """Return the sentences that were announced."""
    return [each.sentence_started for each in talk.events if each.HasField("sentence_started")]


async def test_a_reply_that_is_begun_early_calls_nothing_until_it_is_its_turn() -> None:
    began = asyncio.Event()

    def script(request: ChatRequest) -> Sequence[ChatItem]:
        began.set()
        return asks(request)

    recognizer = ScriptedRecognizer(hypotheses=("Could you check that?",))
    opened = setup(turn_detection=pb.TURN_DETECTION_SERVER)
    async with ToolServer.open(nine) as server:
        chat = ToolChat(script=script)
        rigged = Script(model=chat, tools=http_tools(server.url), recognizer=recognizer)
        async with speech_rig(rigged) as rig, Talk.open(rig, opened) as talk:
            # The user goes on: this reply is thrown away.
            await talk.send(*audio(voiced(1) + silent(0.5)))
            await began.wait()
            await talk.send(*audio(voiced(1)))
            began.clear()
            await talk.send(*audio(silent(0.5)))
            await began.wait()
            assert not server.arguments
            await talk.send(*audio(silent(0.5)))
            await talk.finish()
    assert talk.last("turn_started").is_preemptive
    assert talk.last("turn_started").discarded_reply_count == 1
    assert len(server.arguments) == 1
    assert len(talk.last("turn_finished").tool_calls) == 1


async def test_a_call_may_allow_fewer_tools_than_the_persona_has() -> None:
    chat = ToolChat(script=lambda _: ["I cannot look that up."])
    async with (
        ToolServer.open(nine) as server,
        speech_rig(Script(model=chat, tools=http_tools(server.url))) as rig,
        Talk.open(rig) as talk,
    ):
        for names, offered in ((("hours",), ["hours"]), (("other",), []), ((), [])):
            rig.tasks.facts[TASK_ID] = task_pb2.CallFacts(tools=task_pb2.ToolNames(names=names))
            await talk.send(text("Could you check that?"))
            await talk.until("turn_finished")
            assert [tool.name for tool in chat.requests[-1].tools] == offered


async def test_what_is_known_of_a_call_reaches_its_tools_and_not_the_model(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHOP_KEY", "secret {{customer}}")
    chat = ToolChat(script=asks)
    async with ToolServer.open(nine) as server:
        tools = http_tools(
            f"{server.url}/{{{{customer}}}}/orders",
            headers={"X-Customer": "{{customer}}", "Authorization": "{{customer}}"},
            secret_headers={"authorization": "SHOP_KEY"},
            arguments={"customer": "{{customer}}", "most": 5},
        )
        async with (
            speech_rig(Script(model=chat, tools=tools)) as rig,
            Talk.open(rig) as talk,
        ):
            known = task_pb2.CallVariables(values={"customer": "a/../b?c=%2F 李"})
            rig.tasks.facts[TASK_ID] = task_pb2.CallFacts(variables=known)
            await talk.send(text("Could you check that?"))
            await talk.until("turn_finished")
    [request] = server.requests
    assert request.path == "/tool/a%2F..%2Fb%3Fc%3D%252F%20%E6%9D%8E/orders"
    assert request.headers["x-customer"].encode("latin-1").decode() == "a/../b?c=%2F 李"
    assert request.headers["authorization"] == "secret {{customer}}"
    assert server.arguments == [{"day": "monday", "customer": "a/../b?c=%2F 李", "most": 5}]
    assert "customer" not in str([each.tools for each in chat.requests])
    assert "李" not in str(talk.events)
    logged = capfd.readouterr()
    assert "tool called" in logged.out + logged.err
    assert "李" not in logged.out + logged.err


@pytest.mark.parametrize("value", ["", ".", ".."])
async def test_a_value_that_leads_elsewhere_is_not_asked_for(value: str) -> None:
    chat = ToolChat(script=asks)
    async with ToolServer.open(nine) as server:
        tools = http_tools(f"{server.url}/{{{{customer}}}}/orders")
        async with speech_rig(Script(model=chat, tools=tools)) as rig, Talk.open(rig) as talk:
            known = task_pb2.CallVariables(values={"customer": value})
            rig.tasks.facts[TASK_ID] = task_pb2.CallFacts(variables=known)
            await talk.send(text("Could you check that?"))
            [made] = (await talk.until("turn_finished")).turn_finished.tool_calls
    assert made.outcome == events_pb.TOOL_OUTCOME_FAILED
    assert not server.requests


async def test_fixed_arguments_are_in_the_query_of_a_get() -> None:
    chat = ToolChat(script=asks)
    async with ToolServer.open(lambda _: nine({"day": "monday"})) as server:
        tools = http_tools(server.url, method="GET", arguments={"customer": "{{customer}}"})
        async with speech_rig(Script(model=chat, tools=tools)) as rig, Talk.open(rig) as talk:
            known = task_pb2.CallVariables(values={"customer": "a&b"})
            rig.tasks.facts[TASK_ID] = task_pb2.CallFacts(variables=known)
            await talk.send(text("Could you check that?"))
            await talk.finish()
    assert [each.path for each in server.requests] == ["/tool?day=monday&customer=a%26b"]


async def test_the_app_does_what_a_call_says_that_it_can() -> None:
    show = task_pb2.ClientTool(
        name="show",
        description="Shows a product.",
        parameters='{"type": "object", "properties": {"id": {"type": "integer"}}}',
    )
    taken = task_pb2.ClientTool(name="hours", description="Not the persona's.")

    def script(request: ChatRequest) -> Sequence[ChatItem]:
        found = results(request.messages)
        return [f"I heard: {found[-1]}"] if found else [called("show", '{"id": 7}')]

    chat = ToolChat(script=script)
    async with (
        ToolServer.open(nine) as server,
        speech_rig(Script(model=chat, tools=http_tools(server.url))) as rig,
        Talk.open(rig) as talk,
    ):
        rig.tasks.facts[TASK_ID] = task_pb2.CallFacts(
            client_tools=task_pb2.ClientTools(tools=[show, taken])
        )
        await talk.send(text("Show me that."))
        call = (await talk.until("tool_called")).tool_called
        assert (call.name, call.arguments) == ("show", '{"id": 7}')
        answer = pb.ConverseToolResult(call_id=call.call_id, result="shown")
        await talk.send(pb.ConverseRequest(tool_result=answer))
        assert "shown" in (await talk.until("turn_finished")).turn_finished.heard_text
        descriptions = {each.name: each.description for each in chat.requests[0].tools}
        assert descriptions == {"hours": "Hours.", "show": "Shows a product."}
        only = task_pb2.CallFacts(
            client_tools=task_pb2.ClientTools(tools=[show]),
            tools=task_pb2.ToolNames(names=["hours"]),
        )
        rig.tasks.facts[TASK_ID] = only
        await talk.send(text("Show me that."))
        [refused] = (await talk.until("turn_finished")).turn_finished.tool_calls
        assert refused.outcome == events_pb.TOOL_OUTCOME_REFUSED


async def test_a_filler_covers_a_function_of_the_app_that_only_the_call_has() -> None:
    tool = task_pb2.ClientTool(name="show", description="Shows.")

    def script(request: ChatRequest) -> Sequence[ChatItem]:
        return ["There it is."] if results(request.messages) else [called("show")]

    synthesizer = ScriptedSynthesizer()
    async with (
        speech_rig(Script(model=ToolChat(script=script), synthesizer=synthesizer)) as rig,
        Talk.open(rig) as talk,
    ):
        facts = task_pb2.CallFacts(client_tools=task_pb2.ClientTools(tools=[tool]))
        rig.tasks.facts[TASK_ID] = facts
        await talk.send(text("Show me that."))
        call = (await talk.until("tool_called")).tool_called
        while "One moment." not in synthesizer.spoken:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        answer = pb.ConverseToolResult(call_id=call.call_id)
        await talk.send(pb.ConverseRequest(tool_result=answer))
        assert (await talk.until("turn_finished")).turn_finished.heard_text == "There it is."


async def test_a_secret_header_that_is_not_set_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOP_KEY", raising=False)
    tools = http_tools("http://127.0.0.1:9/tool", secret_headers={"authorization": "SHOP_KEY"})
    with capture_logs() as told:
        async with open_toolsets(scripted_personas(tools=tools)):
            pass
    [line] = [each for each in told if each["event"] == "secret header left out"]
    assert (line["tool"], line["variable"]) == ("hours", "SHOP_KEY")
