"""The console's line sends what was asked while it was broken, and outlasts an outage."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import cast

import pytest

from parley.console.line import Line
from parley.gateway_client.answers import GatewayError
from parley.gateway_client.gateway import Gateway


class ScriptedConnection:
    """Is ready at once, and sends when the test lets it."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.is_sending = asyncio.Event()
        self.may_send = asyncio.Event()

    async def send(self, text: str) -> None:
        self.sent.append(json.loads(text)["requestId"])
        self.is_sending.set()
        await self.may_send.wait()

    async def __aiter__(self) -> AsyncIterator[str]:
        yield json.dumps({"event": "ready", "data": {}})


class RefusingConnection:
    """Ends the line with a problem."""

    def __init__(self, reason: str, recovery: str) -> None:
        self.problem = {"reason": reason, "recovery": recovery}

    async def __aiter__(self) -> AsyncIterator[str]:
        yield json.dumps({"problem": self.problem})


class ScriptedGateway:
    """Has one connection, and before it those that refuse."""

    def __init__(self, *refusing: RefusingConnection) -> None:
        self.connection = ScriptedConnection()
        self.connections: list[ScriptedConnection | RefusingConnection] = [
            *refusing,
            self.connection,
        ]

    @asynccontextmanager
    async def open_line(
        self, params: Mapping[str, str]
    ) -> AsyncIterator[ScriptedConnection | RefusingConnection]:
        yield self.connections.pop(0)


async def until_ready(line: Line) -> None:
    async for event in line.events():
        assert event.name == "ready"
        return


async def test_a_question_is_sent_that_is_asked_while_others_are_sent_again() -> None:
    gateway = ScriptedGateway()
    line = Line(cast(Gateway, gateway), "task_1", has_microphone=False)
    await line.send(type="text", text="When do you open?", requestId="first")
    opening = asyncio.create_task(until_ready(line))
    await gateway.connection.is_sending.wait()
    asking = asyncio.create_task(line.send(type="text", text="And today?", requestId="second"))
    gateway.connection.may_send.set()
    await asking
    await opening
    assert gateway.connection.sent == ["first", "second"]


async def test_a_line_that_an_outage_ends_is_opened_again() -> None:
    gateway = ScriptedGateway(RefusingConnection("JOURNAL_UNAVAILABLE", "OUTAGE"))
    await until_ready(Line(cast(Gateway, gateway), "task_1", has_microphone=False))
    assert gateway.connections == []


async def test_a_line_that_is_refused_is_not() -> None:
    gateway = ScriptedGateway(RefusingConnection("TASK_ENDED", "NONE"))
    with pytest.raises(GatewayError, match="TASK_ENDED"):
        await until_ready(Line(cast(Gateway, gateway), "task_1", has_microphone=False))
    assert gateway.connections == [gateway.connection]
