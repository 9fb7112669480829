"""Each of the examples, as its first lines say that it is run."""

import asyncio
import contextlib
import os
import signal
import sys
import wave
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import httpx
import pytest

from tests.examples.conftest import SPEECH_ADDRESS, TOOL_PORT
from tests.support.compose import ROOT, free_ports
from tests.support.stack import Stack

API = "/api/digital-human"
EXAMPLES = ROOT / "examples"
LONGEST_LINES = 79
NOTHING_MORE: Mapping[str, str] = MappingProxyType({})
pytestmark = pytest.mark.usefixtures("nothing_on_air")


@pytest.fixture(scope="module", autouse=True)
def interruptible() -> Iterator[None]:
    """Have Ctrl-C end the examples, also where the tests run in a shell's background.

    There it is ignored, and processes inherit that, but no handler. To change it between fork and
    exec could abort the new process: other threads may hold locks then.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@asynccontextmanager
async def example(
    name: str, *words: str, stack: Stack, env: Mapping[str, str] = NOTHING_MORE
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run an example until the block is left."""
    given = {"PARLEY_URL": stack.gateway_url, "PARLEY_KEY": stack.api_key, **env}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLES / name), *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **given},
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def output(
    name: str, *words: str, stack: Stack, code: int = 0, env: Mapping[str, str] = NOTHING_MORE
) -> str:
    """Return what an example prints until it ends."""
    async with example(name, *words, stack=stack, env=env) as process:
        told, _ = await process.communicate()
        assert process.returncode == code, told.decode()
    return told.decode()


def page_with(ticket: str, stack: Stack) -> httpx.AsyncClient:
    """Return a client that has a ticket."""
    headers = {"Authorization": f"Bearer {ticket}"}
    return httpx.AsyncClient(
        base_url=stack.gateway_url, headers=headers, timeout=60, trust_env=False
    )


@pytest.fixture
async def task_id(http: httpx.AsyncClient, nothing_on_air: None) -> AsyncIterator[str]:
    """A task on air."""
    order = {"roomId": "room", "streamId": "stream", "greeting": ""}
    created = (await http.post(f"{API}/create-task", json=order)).raise_for_status().json()
    yield created["taskId"]
    await http.post(f"{API}/stop-task", json={"taskId": created["taskId"]})


def test_examples_are_small() -> None:
    lengths = {path.name: path.read_text().count("\n") for path in EXAMPLES.glob("*.py")}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_LINES} == {}


async def test_ask(stack: Stack) -> None:
    told = await output("ask.py", "When do you open?", stack=stack)
    assert told == "We open at seven and close at six.\n"


async def test_own_persona(stack: Stack) -> None:
    told = await output("own_persona.py", "baker", stack=stack)
    assert told.splitlines() == [
        "You:   When do you open?",
        "Reply: We open at seven and close at six.",
        "Heard: We open at seven and close at six.",
    ]
    told = await output("own_persona.py", "nobody", stack=stack, code=1)
    assert "baker" in told


async def test_own_tool(stack: Stack) -> None:
    told = await output("own_tool.py", TOOL_PORT, stack=stack)
    assert "called with {'number': '4729'}" in told
    assert "out for delivery" in told


@pytest.mark.parametrize(
    "words", [("own_tool.py", TOOL_PORT), ("app_function.py", "Show me order 4729.")]
)
async def test_a_tool_says_what_is_wrong_and_how_it_was_stopped(
    stack: Stack, words: tuple[str, ...]
) -> None:
    name, *rest = words
    [nobody] = free_ports(1)
    away = {"PARLEY_URL": f"http://127.0.0.1:{nobody}"}
    told = await output(name, *rest, stack=stack, env=away, code=1)
    assert told.startswith(f"Parley at {away['PARLEY_URL']} does not answer: ")
    told = await output(name, *rest, stack=stack, env={"PARLEY_KEY": "wrong"}, code=1)
    assert told.startswith("Parley refuses: ")
    assert "Traceback" not in told
    reached, left = asyncio.Event(), asyncio.Event()

    async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        with contextlib.suppress(ConnectionError):
            while await reader.read(65_536):
                pass
        writer.close()
        left.set()

    silent = await asyncio.start_server(keep_silent, "127.0.0.1", int(nobody))
    async with silent, example(name, *rest, stack=stack, env=away) as process:
        await reached.wait()
        process.send_signal(signal.SIGINT)
        told_bytes, _ = await process.communicate()
        assert (process.returncode, told_bytes) == (130, b"")
        await left.wait()


async def test_app_function(stack: Stack) -> None:
    told = await output("app_function.py", "Show me order 4729, please.", stack=stack)
    assert told.splitlines()[0] == "[order 4729 is on the screen]"
    assert "out for delivery" in told


async def test_webhook_receiver(stack: Stack, http: httpx.AsyncClient, task_id: str) -> None:
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}/"
    added = (await http.post(f"{API}/webhooks", json={"url": url})).raise_for_status().json()
    async with example(
        "webhook_receiver.py", port, stack=stack, env={"WEBHOOK_SECRET": added["secret"]}
    ) as receiver:
        assert receiver.stdout is not None
        assert (await receiver.stdout.readline()).decode().strip() == url
        question = {"taskId": task_id, "text": "When do you open?"}
        await http.post(f"{API}/talk-to-ai", json=question)
        async with asyncio.timeout(60):
            while not (told := await receiver.stdout.readline()).startswith(b"turn.finished"):
                assert told
        assert task_id in told.decode()
        assert "We open at seven" in told.decode()
    await http.delete(f"{API}/webhooks/{added['webhook']['webhookId']}")


async def test_ticket_server(stack: Stack) -> None:
    [port] = free_ports(1)
    async with example("ticket_server.py", port, stack=stack) as server:
        assert server.stdout is not None
        url = (await server.stdout.readline()).decode().strip()
        async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as browser:
            assert (await browser.post("/ticket")).status_code == 401
            wrong = await browser.post("/sign-in", data={"user": "ada", "password": "byron"})
            assert wrong.status_code == 401
            right = await browser.post("/sign-in", data={"user": "ada", "password": "lovelace"})
            assert right.status_code == 303
            page = (await browser.get("/")).text
            assert "Hello ada" in page
            assert f"{stack.gateway_url}/clients/v1/parley.js" in page
            first = (await browser.post("/ticket")).raise_for_status().json()["ticket"]
            # What the page does with its tickets: a call in the user's name, and another ticket.
            async with page_with(first, stack) as calls:
                order = {"roomId": "adas", "streamId": "adas", "greeting": ""}
                created = await calls.post(f"{API}/create-task", json=order)
                task = created.raise_for_status().json()
                assert task["userId"] == "ada"
            again = await browser.post("/ticket", params={"taskId": task["taskId"]})
            async with page_with(again.raise_for_status().json()["ticket"], stack) as calls:
                stopped = await calls.post(f"{API}/stop-task", json={"taskId": task["taskId"]})
                assert stopped.status_code == 200
            refused = await browser.post("/ticket", params={"taskId": "task_none"})
            assert refused.is_client_error


async def test_say_on_schedule(stack: Stack, task_id: str) -> None:
    now = datetime.now()
    soon, ago = ((now + timedelta(seconds=each)).isoformat(timespec="seconds") for each in (3, -60))
    told = await output(
        "say_on_schedule.py", task_id, soon, "Good night.", ago, "We close.", stack=stack
    )
    assert [line.partition(" ")[2] for line in told.splitlines()] == ["We close.", "Good night."]
    assert told.splitlines()[1] >= soon
    told = await output("say_on_schedule.py", "task_none", ago, "No.", stack=stack, code=1)
    assert "task" in told


async def test_two_languages(stack: Stack) -> None:
    told = await output("two_languages.py", stack=stack)
    assert told.splitlines() == [
        "When do you open? -> We open at seven and close at six.",
        "你们几点开门？ -> 我们七点开门，六点关门。",
        "languages: en zh",
    ]


async def test_replay(stack: Stack, http: httpx.AsyncClient, task_id: str, tmp_path: Path) -> None:
    question = {"taskId": task_id, "text": "When do you open?"}
    (await http.post(f"{API}/talk-to-ai", json=question)).raise_for_status()
    path = tmp_path / "call.wav"
    told = await output("replay.py", task_id, str(path), stack=stack)
    assert "   0.0 s  user: When do you open?\n" in told
    assert "digital human: We open at seven and close at six.\n" in told
    with wave.open(str(path)) as wav:
        said = len("When do you open?We open at seven and close at six.")
        # The scripted voice speaks a character for 50 ms.
        assert wav.getnframes() == wav.getframerate() * (said * 0.05 + 1)


async def test_grpc_client(stack: Stack, tmp_path: Path) -> None:
    protos = [*ROOT.glob("protos/**/*.proto"), *ROOT.glob("third_party/buf/**/*.proto")]
    generating = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "grpc_tools.protoc", "-I", "protos", "-I", "third_party",
        f"--python_out={tmp_path}", f"--grpc_python_out={tmp_path}",
        *(str(path.relative_to(ROOT)) for path in protos), cwd=ROOT,
    )  # fmt: skip
    assert await generating.wait() == 0
    env = {
        "PYTHONPATH": str(tmp_path),
        "PARLEY_TASK": stack.target("task"),
        "PARLEY_SPEECH": SPEECH_ADDRESS,
        "PARLEY_SERVICE_TOKEN": stack.service_token,
    }
    question = "When do you open?"
    told = await output("grpc_client.py", question, stack=stack, env=env)
    assert told == "We open at seven and close at six.\n"
    env["PARLEY_SERVICE_TOKEN"] = "wrong"
    told = await output("grpc_client.py", question, stack=stack, code=1, env=env)
    assert "UNAUTHENTICATED CREDENTIALS_INVALID" in told
