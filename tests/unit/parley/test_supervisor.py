"""The supervisor's own part of `parley up`: signals, and processes that end by themselves."""

import asyncio
import io
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
from rich.console import Console

from parley.plan.listeners import GATEWAY, TASK, Listener
from parley.plan.processes import Process
from parley.supervision.supervisor import Supervisor
from tests.support.compose import free_ports

WAIT = "import signal; print('here', flush=True); signal.pause()"
# Takes calls and answers none, and does not end when it is asked to.
DEAF = f"""
import os, signal, socket
signal.signal(signal.SIGTERM, signal.SIG_IGN)
server = socket.create_server(("127.0.0.1", int(os.environ["GATEWAY_PORT"])))
{WAIT}
"""
# Says that it was asked, and cannot help.
ASKED = """
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        print("asked", flush=True)
        self.send_error(503)

server = HTTPServer(("127.0.0.1", int(os.environ["GATEWAY_PORT"])), Handler)
print("here", flush=True)
server.serve_forever()
"""


class Told(io.StringIO):
    """What was written, and a wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self._more = asyncio.Event()

    def write(self, text: str) -> int:
        self._more.set()
        return super().write(text)

    async def until(self, *texts: str) -> None:
        async with asyncio.timeout(60):
            while not all(each in self.getvalue() for each in texts):
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def supervised(told: Told, task: str, gateway: str) -> AsyncIterator[asyncio.Task[int]]:
    """Two processes that run such code under a supervisor; none of them is ever ready."""
    task_port, gateway_port = free_ports(2)
    environment = dict(os.environ) | {"TASK_PORT": task_port, "GATEWAY_PORT": gateway_port}

    def process(code: str, listener: Listener) -> Process:
        return Process(
            name=listener.process,
            words=(sys.executable, "-c", code, listener.process),
            environment=environment,
            listeners=(listener,),
        )

    planned = [process(task, TASK), process(gateway, GATEWAY)]
    supervisor = Supervisor(planned, environment, Console(file=told, width=200))
    run = asyncio.create_task(supervisor.run())
    try:
        yield run
    finally:
        run.cancel()
        await asyncio.wait({run})


async def children(told: Told) -> dict[str, psutil.Process]:
    """The processes, when they have begun, by name."""
    await told.until("task    │ here", "gateway │ here")
    commands = {tuple(each.cmdline()): each for each in psutil.Process().children()}
    # Other tests' processes may run beside them.
    return {words[-1]: each for words, each in commands.items() if words[1:2] == ("-c",)}


async def test_a_process_that_dies_stops_the_rest() -> None:
    told = Told()
    async with supervised(told, WAIT, WAIT) as run:
        started = await children(told)
        started["task"].kill()
        assert await run == 1
    assert not started["gateway"].is_running()
    assert "task ended by itself with exit code -9, so all was stopped" in told.getvalue()


async def test_what_is_on_air_is_stopped_when_a_process_dies() -> None:
    told = Told()
    async with supervised(told, WAIT, ASKED) as run:
        started = await children(told)
        started["task"].kill()
        assert await run == 1
    assert "gateway │ asked" in told.getvalue()
    assert "Not all could be taken off air" in told.getvalue()


async def test_a_second_signal_waits_for_nothing() -> None:
    told = Told()
    async with supervised(told, WAIT, DEAF) as run:
        started = await children(told)
        os.kill(os.getpid(), signal.SIGINT)
        await told.until("Stopping")
        os.kill(os.getpid(), signal.SIGINT)
        assert await run == 0
    assert not any(each.is_running() for each in started.values())
    # It would have said so in the end.
    assert "could be taken off air" not in told.getvalue()
