"""What the examples and the console run against: all processes, with scripted models."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal

from tests.examples import speech
from tests.support.compose import LOOPBACK, ROOT, Service, free_ports
from tests.support.stack import Stack, running_stack

PERSONAS = ROOT / "examples" / "personas"
TOOL_PORT, SPEECH_PORT = free_ports(2)
"""Of the tool of examples/own_tool.py, in place of that which its persona names; of speech."""
SPEECH_ADDRESS = f"{LOOPBACK}:{SPEECH_PORT}"


@asynccontextmanager
async def stack_of_examples(personas: Path) -> AsyncIterator[Stack]:
    """All processes; the language model and the voice are scripted."""
    env = {
        "gateway": {"GATEWAY_SPEECH_TARGET": SPEECH_ADDRESS},
        "task": {"TASK_WEBHOOK_NETWORKS": "127.0.0.0/8"},
    }
    running = running_stack(processes=("engine", "avatar", "task"), env=env, has_tls=False)
    async with running as up:
        environment = {
            "SPEECH_PORT": SPEECH_PORT,
            "SPEECH_TASK_TARGET": up.target("task"),
            "SPEECH_AVATAR_TARGET": up.target("avatar"),
            "SPEECH_PERSONAS": str(personas),
            "SPEECH_DEFAULT_PERSONA": "baker",
            "PARLEY_SERVICE_TOKEN": up.service_token,
        }
        words = (sys.executable, "-m", speech.__name__)
        speech_service = Service(
            name="speech", words=words, environment=environment, probe=SPEECH_ADDRESS
        )
        up.add(speech_service)
        await up.start(["speech", "gateway"])
        yield up


@pytest.fixture(scope="package")
def stack(portal: BlockingPortal, personas: Path) -> Iterator[Stack]:
    """The processes, shared by all tests of this folder."""
    for file in PERSONAS.glob("*.toml"):
        text = file.read_text(encoding="utf-8").replace(":9010/", f":{TOOL_PORT}/")
        (personas / file.name).write_text(text, encoding="utf-8")
    with portal.wrap_async_context_manager(stack_of_examples(personas)) as started:
        yield started


@pytest.fixture
async def http(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the gateway that has a key."""
    async with httpx.AsyncClient(
        base_url=stack.gateway_url,
        headers={"Authorization": f"Bearer {stack.api_key}"},
        timeout=60,
        trust_env=False,
    ) as client:
        yield client


async def running(http: httpx.AsyncClient) -> list[Any]:
    """Return the tasks that have not ended."""
    states = {"state": ["CREATING", "STARTING", "STREAMING"]}
    found = await http.get("/api/digital-human/tasks", params=states)
    return found.raise_for_status().json()["tasks"]


@pytest.fixture
async def nothing_on_air(http: httpx.AsyncClient) -> AsyncIterator[None]:
    """The test leaves no task on air: none that only its absence, noticed in a minute, ends."""
    yield
    async with asyncio.timeout(30):
        while await running(http):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
