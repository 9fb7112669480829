"""A process that runs while its context is open and leaves nothing behind."""

import asyncio
import fcntl
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

OnLine: TypeAlias = Callable[[str, str], None]
"""Called with the name of a process and a line that it wrote."""

TAIL_LINES = 20
LINE_BYTES = 1 << 20
HELD_BYTES = 1 << 20
"""What a process can write while we are busy, where the system lets us choose; then it waits."""

_PARENT_DEATH = Path(__file__).with_name("parent_death.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to run: a display name, the words of the command, the complete environment."""

    name: str
    words: tuple[str, ...]
    environment: Mapping[str, str]


class Running:
    """A started process. Its output goes to `on_line`, line by line."""

    def __init__(
        self,
        name: str,
        process: asyncio.subprocess.Process,
        output: asyncio.StreamReader,
        on_line: OnLine,
    ) -> None:
        self.name = name
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._process = process
        self._output = output
        self._on_line = on_line
        self._reading = asyncio.create_task(self._read(), name=f"output of {name}")

    @property
    def pid(self) -> int:
        """Its process id, which is also the id of its group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Its exit code, negative for a signal; None while it is running."""
        return self._process.returncode

    async def wait(self) -> int:
        """Return the exit code once it has ended and all its output has been passed on."""
        exit_code = await self._process.wait()
        # Children left behind would hold its output open.
        self.kill()
        await asyncio.shield(self._reading)
        return exit_code

    async def stop(self, grace_s: float) -> int:
        """Ask it to exit; kill it and its children if it has not within the grace period."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(grace_s):
                return await self.wait()
        except TimeoutError:
            self.kill()
            return await self.wait()

    def kill(self) -> None:
        """Kill it and its children at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    async def _read(self) -> None:
        while True:
            try:
                raw = await self._output.readline()
            except ValueError:
                # Longer than the limit: this line is lost, the next ones are not.
                continue
            if not raw:
                return
            line = raw.decode(errors="replace").rstrip()
            self.tail.append(line)
            self._on_line(self.name, line)


@asynccontextmanager
async def running(command: Command, *, on_line: OnLine, grace_s: float) -> AsyncIterator[Running]:
    """Run a command in its own process group until the block is left, then stop it.

    The process gets SIGTERM when this one dies for any reason. A command that cannot be run exits
    with code 1 and says so.
    """
    reading, writing = os.pipe()
    _widen(writing)
    async with _lines_of(reading) as output:
        # Only the process keeps the writing end, so that its exit ends the output.
        with os.fdopen(writing, "wb", 0) as pipe:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(_PARENT_DEATH), str(os.getpid())),
                *command.words,
                env=command.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=pipe,
                stderr=pipe,
                start_new_session=True,
            )
        started = Running(command.name, process, output, on_line)
        try:
            yield started
        finally:
            await started.stop(grace_s)


def _widen(pipe: int) -> None:
    """Have a pipe hold seconds of log lines: a process that cannot write its log stands still."""
    if sys.platform == "linux":
        # Beyond a limit on what all pipes of a user hold, a pipe keeps its size.
        with suppress(PermissionError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, HELD_BYTES)


@asynccontextmanager
async def _lines_of(pipe: int) -> AsyncIterator[asyncio.StreamReader]:
    """Read our own pipe: asyncio's hide the exit of a process while any child holds them open."""
    reader = asyncio.StreamReader(limit=LINE_BYTES)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb", 0)
    )
    try:
        yield reader
    finally:
        transport.close()
