"""Processes run while their block is open, and nothing of them is left behind."""

import asyncio
import os
import signal
import sys

import pytest

from parley.processes.running import Command, running
from tests.support.processes import await_end

READY = "ready"


def python(code: str) -> Command:
    return Command(name="sample", words=(sys.executable, "-c", code), environment=os.environ)


class Lines:
    """What a process wrote, and the moment that it said it was ready."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self.ready = asyncio.Event()

    def __call__(self, name: str, line: str) -> None:
        self.all.append(line)
        if line.startswith(READY):
            self.ready.set()


async def test_output_is_passed_on_and_its_end_kept() -> None:
    lines = Lines()
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    async with running(python(code), on_line=lines, grace_s=5) as process:
        assert await process.wait() == 3
    assert sorted(lines.all) == ["err", "out"] == sorted(process.tail)


async def test_a_process_is_asked_to_end() -> None:
    lines = Lines()
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('bye')))\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)"
    )
    async with running(python(code), on_line=lines, grace_s=30) as process:
        await lines.ready.wait()
    assert process.exit_code == 0
    assert lines.all == [READY, "bye"]


async def test_a_deaf_process_is_killed() -> None:
    lines = Lines()
    code = (
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)"
    )
    async with running(python(code), on_line=lines, grace_s=0.1) as process:
        await lines.ready.wait()
    assert process.exit_code == -signal.SIGKILL


async def test_children_end_with_their_parent() -> None:
    lines = Lines()
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print('ready', child.pid, flush=True)"
    )
    async with running(python(code), on_line=lines, grace_s=5) as process:
        await lines.ready.wait()
        assert await process.wait() == 0
    (line,) = lines.all
    await await_end(int(line.split()[1]))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of this")
async def test_a_process_ends_when_its_starter_is_killed() -> None:
    lines = Lines()
    code = (
        "import asyncio, os, sys\n"
        "from parley.processes.running import Command, running\n"
        "child = '''import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('told', file=sys.stderr)))\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)'''\n"
        "async def main():\n"
        "    command = Command(\n"
        "        name='child', words=(sys.executable, '-c', child), environment=os.environ\n"
        "    )\n"
        "    def show(name, line):\n"
        "        print(line, process.pid, flush=True)\n"
        "    async with running(command, on_line=show, grace_s=5) as process:\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())"
    )
    async with running(python(code), on_line=lines, grace_s=5) as starter:
        await lines.ready.wait()
        child = int(lines.all[0].split()[1])
        os.kill(starter.pid, signal.SIGKILL)
        await starter.wait()
        await await_end(child)


async def test_a_line_without_end_loses_only_itself() -> None:
    lines = Lines()
    code = "print('x' * (3 << 20)); print('after')"
    async with running(python(code), on_line=lines, grace_s=5) as process:
        assert await process.wait() == 0
    assert lines.all[-1] == "after"


async def test_a_command_that_is_not_there_says_so() -> None:
    lines = Lines()
    command = Command(name="none", words=("/nowhere/at/all",), environment={})
    async with running(command, on_line=lines, grace_s=1) as process:
        assert await process.wait() == 1
    assert lines.all == ["cannot run /nowhere/at/all: No such file or directory"]
