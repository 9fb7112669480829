"""What others have written is shown by a terminal, and never obeyed."""

import io
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from rich.console import Console
from rich.text import Text

from parley.doctor.command import show
from parley.gateway_client.answers import GatewayError
from parley.gateway_client.gateway import Gateway, Question
from parley.terminal.escaping import visible, visible_json, visible_line
from services.runtime.check import Finding, Verdict

HOSTILE = "a\x1b[2J\x1b]0;title\x07\x9b31m\r\x08\u202eb\u2028c\x00\x7f\u200b"
SHOWN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e]")


def test_what_a_terminal_obeys_is_escaped() -> None:
    assert not SHOWN.search(visible(HOSTILE))
    assert visible("a\tb\n你好 🙂 é") == "a\tb\n你好 🙂 é"
    assert visible_json({HOSTILE: [HOSTILE, 1, None]}) == {
        visible(HOSTILE): [visible(HOSTILE), 1, None]
    }


def test_lines_of_processes_keep_their_colours() -> None:
    line = visible_line(f"\x1b[31mred\x1b[0m {HOSTILE}")
    assert line.startswith("\x1b[31mred\x1b[0m a")
    assert not SHOWN.search(Text.from_ansi(line).plain)


def test_findings_have_no_markup() -> None:
    told = io.StringIO()
    finding = Finding(subject="[red]x[/red]", verdict=Verdict.FINE, found="[/nothing] [link=x]")
    show([finding], Console(file=told, width=200))
    assert "[red]x[/red]" in told.getvalue()
    assert "[/nothing] [link=x]" in told.getvalue()


@asynccontextmanager
async def answering(answer: httpx.Response) -> AsyncIterator[Gateway]:
    """A client of a gateway that always answers so."""
    transport = httpx.MockTransport(lambda request: answer)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield Gateway(client)


async def test_what_the_gateway_says_can_be_printed() -> None:
    tasks = httpx.Response(200, json={"tasks": [{"roomId": HOSTILE}]})
    async with answering(tasks) as gateway:
        assert await gateway.list_tasks() == [{"roomId": visible(HOSTILE)}]
    async with answering(httpx.Response(200, text=f"user\r\n{HOSTILE}\r\n")) as gateway:
        assert await gateway.usage_csv({}) == f"user\r\n{visible(HOSTILE)}\r\n"
    problem = httpx.Response(404, json={"title": HOSTILE, "reason": "X", "detail": HOSTILE})
    async with answering(problem) as gateway:
        with pytest.raises(GatewayError) as caught:
            await gateway.stop_task("x")
    assert not SHOWN.search(str(caught.value))
    event = httpx.Response(200, text='event: turn_started\ndata: {"transcript": "\\u001b[2J"}\n\n')
    async with answering(event) as gateway:
        events = [each async for each in gateway.talk("x", Question(text="Hi"))]
    assert events[0].data == {"transcript": "\\x1b[2J"}
