"""`parley console`, as people use it: in a terminal, through a pipe, and with sound."""

import asyncio
import re
import signal
import sys

import httpx
import pytest

from tests.support.command_line import environment, outcome
from tests.support.proxy import proxying
from tests.support.pseudo_terminal import CTRL_C, CTRL_D, in_terminal
from tests.support.stack import Stack

COLOUR = re.compile(r"\x1b\[[\d;]*m")
# Pia's answer to it is long enough to be cut off.
STORYTELLER = ("--persona", "pia")
QUESTION = "Tell me a short story about a brave little robot."
BEGIN, END = "lived in a lighthouse", "thank you"
pytestmark = pytest.mark.usefixtures("nothing_on_air")


def console(stack: Stack, *words: str) -> list[str]:
    return ["console", "--gateway", stack.gateway_url, "--key", stack.api_key, *words]


async def test_what_is_said_is_answered_and_the_call_ends(stack: Stack) -> None:
    words = ["--say", "When do you open?", "--say", "Is there gluten in the rye bread?"]
    code, text = await outcome(*console(stack, *words), env=environment())
    assert code == 0, text
    assert "You: When do you open?\nBea: We open at seven and close at six.\n" in text
    assert "You: Is there gluten in the rye bread?\nBea: Yes, rye has gluten." in text
    assert text.count("avatar speaks") == 2
    assert text.endswith("Off air.")
    assert "\x1b" not in text


async def test_a_terminal_is_sent_nothing_that_it_obeys(stack: Stack) -> None:
    words = console(stack, "--say", "a\x1b]0;b\x07[red]c")
    async with in_terminal(*words, env=environment()) as (process, terminal):
        assert await process.wait() == 0, terminal.text
        await terminal.until("Off air")
    assert "a\\x1b]0;b\\x07[red]c" in terminal.text
    assert "\x1b" not in COLOUR.sub("", terminal.text)


async def test_lines_of_a_pipe_are_asked_one_after_the_other(stack: Stack) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "parley", *console(stack, "--lang", "zh"),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=environment(),
    )  # fmt: skip
    told, _ = await process.communicate("你们几点开门？\n\n营业时间是几点？".encode())
    text = told.decode()
    assert process.returncode == 0, text
    assert text.count("小贝: 我们七点开门，六点关门。\n") == 2
    assert "cut off" not in text


async def test_a_conversation_in_a_terminal(stack: Stack) -> None:
    words = console(stack, "--text", *STORYTELLER)
    async with in_terminal(*words, env=environment()) as (process, terminal):
        await terminal.until("Type and press Enter")
        # Its greeting, as there is somebody to be greeted.
        await terminal.until("Pia: .*Hello, this is Pia")
        terminal.type(f"{QUESTION}\n")
        await terminal.until(BEGIN)
        # Enter alone interrupts.
        terminal.type("\n")
        await terminal.until(rf"(?s){BEGIN}.*\(cut off\).*avatar speaks")
        assert END not in terminal.text
        terminal.text = ""
        # And so does another question.
        terminal.type(f"{QUESTION}\n")
        await terminal.until(BEGIN)
        terminal.type("When do you open?\n")
        await terminal.until(rf"(?s){BEGIN}.*\(cut off\)")
        await terminal.until("We open at nine in the morning")
        assert END not in terminal.text
        terminal.type(CTRL_C)
        assert await process.wait() == 0, terminal.text
        await terminal.until("Off air")


async def test_a_line_that_breaks_goes_on_over_the_next(stack: Stack) -> None:
    async with proxying(stack.gateway_url) as way:
        words = ["console", "--url", way.url, "--api-key", stack.api_key, "--text", *STORYTELLER]
        async with in_terminal(*words, env=environment()) as (process, terminal):
            await terminal.until("this is Pia")
            terminal.type(f"{QUESTION}\n")
            await terminal.until(BEGIN)
            way.cut()
            terminal.type("When do you open?\n")
            way.mend()
            await terminal.until(r"\(cut off\)")
            await terminal.until("We open at nine in the morning")
            terminal.type(CTRL_D)
            assert await process.wait() == 0, terminal.text
    assert terminal.text.count("this is Pia") == 1


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP])
async def test_a_console_that_is_ended_leaves_nothing_on_air(
    stack: Stack, sent: signal.Signals
) -> None:
    async with in_terminal(*console(stack, "--text"), env=environment()) as (process, terminal):
        await terminal.until("Good morning")
        process.send_signal(sent)
        process.send_signal(sent)
        assert await process.wait() == 0, terminal.text


async def test_hanging_up_before_the_digital_human_is_on_air(
    stack: Stack, http: httpx.AsyncClient
) -> None:
    async with in_terminal(*console(stack, "--text"), env=environment()) as (process, terminal):
        await terminal.until("Putting a digital human on air")
        terminal.type(CTRL_C)
        assert await process.wait() == 0, terminal.text


async def test_a_question_that_fails_is_told_and_the_call_ends(stack: Stack) -> None:
    code, text = await outcome(*console(stack, "--say", "x" * 4001), env=environment())
    assert code == 1, text
    assert "INVALID_REQUEST" in text
    assert "text" in text


async def test_a_call_that_somebody_else_stops(stack: Stack, http: httpx.AsyncClient) -> None:
    async with in_terminal(*console(stack, "--text"), env=environment()) as (process, terminal):
        await terminal.until("Good morning")
        [task] = (await http.get("/api/digital-human/tasks?state=STREAMING")).json()["tasks"]
        await http.post("/api/digital-human/stop-task", json={"taskId": task["taskId"]})
        assert await process.wait() == 0, terminal.text
