"""The supervisor's own part of `parley up`: what it does when a process ends by itself."""

import asyncio
import io
import os
import signal
import sys

import psutil
from rich.console import Console

from parley.plan import GATEWAY, TASK, Process
from parley.supervisor import Supervisor

NAMES = ("task", "gateway")
WAIT = "import signal; print('here', flush=True); signal.pause()"


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


async def test_a_process_that_dies_stops_the_rest() -> None:
    # Nobody listens there, so that none of them is ever ready.
    environment = dict(os.environ) | {"TASK_PORT": "1", "GATEWAY_PORT": "1"}
    planned = [
        Process(
            name=name,
            words=(sys.executable, "-c", WAIT, name),
            environment=environment,
            listeners=(listener,),
        )
        for name, listener in zip(NAMES, (TASK, GATEWAY), strict=True)
    ]
    told = Told()
    supervisor = Supervisor(planned, environment, Console(file=told, width=200))
    run = asyncio.create_task(supervisor.run())
    await told.until("task    │ here", "gateway │ here")
    children = {each.cmdline()[-1]: each for each in psutil.Process().children()}
    os.kill(children["task"].pid, signal.SIGKILL)
    assert await run == 1
    assert not children["gateway"].is_running()
    assert "task ended by itself with exit code -9, so all was stopped" in told.getvalue()
