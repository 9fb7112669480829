"""The Kotlin client: its own tests, and those against a running stack."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

from anyio.from_thread import BlockingPortal

from tests.clients.conftest import Question
from tests.clients.toolchains import JAVA, require
from tests.support.compose import ROOT
from tests.support.stack import Stack

FOLDER = ROOT / "clients" / "kotlin"


def maven(*words: str, environment: Mapping[str, str] | None = None) -> None:
    """Run Maven on the library; fails with what it says."""
    require(JAVA)
    ran = subprocess.run(
        ["mvn", "--batch-mode", "--quiet", "--projects", "client", *words],
        cwd=FOLDER,
        env=os.environ | dict(environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout


@asynccontextmanager
async def restarting(stack: Stack) -> AsyncIterator[str]:
    """Serve an address, asked by which the stack's gateway is started anew; yields the address."""
    async with await asyncio.start_server(partial(_restart, stack), "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}/"


async def _restart(
    stack: Stack, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await reader.readuntil(b"\r\n\r\n")
    await stack.restart("gateway")
    writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
    await writer.drain()
    writer.close()


def test_the_library() -> None:
    maven("test")


def test_the_library_on_a_running_stack(
    stack: Stack, question: Question, portal: BlockingPortal
) -> None:
    with portal.wrap_async_context_manager(restarting(stack)) as restart_url:
        environment = {
            "PARLEY_URL": stack.gateway_url,
            "PARLEY_KEY": stack.api_key,
            "PARLEY_WAV": str(question.wav),
            "PARLEY_QUESTION": question.text,
            "PARLEY_ANSWER": question.answer,
            "PARLEY_PERSONA": question.persona_id,
            "PARLEY_RESTART_URL": restart_url,
        }
        maven("test", "-Dgroups=live", "-DexcludedGroups=", environment=environment)
