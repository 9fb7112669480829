"""A command in a terminal of its own, which a test types into and reads."""

import asyncio
import os
import pty
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

CTRL_C = "\x03"
CTRL_D = "\x04"
READ_TIMEOUT_S = 60.0
# The terminal sends Ctrl-C to the processes that it controls.
CONTROLLED = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """What a command has written, and its keyboard."""

    def __init__(self, master: int) -> None:
        self._master = master
        self._more = asyncio.Event()
        self._is_closed = False
        self.text = ""

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    async def until(self, pattern: str) -> str:
        """Return what the first match is when it has been written."""
        with suppress(TimeoutError):
            async with asyncio.timeout(READ_TIMEOUT_S):
                while not re.search(pattern, self.text) and not self._is_closed:
                    self._more.clear()
                    await self._more.wait()
        found = re.search(pattern, self.text)
        assert found, f"it never wrote {pattern!r}:\n{self.text}"
        return found[0]

    def read(self) -> None:
        """Take what has been written."""
        piece = b""
        with suppress(OSError):  # Nobody has the terminal open any more.
            piece = os.read(self._master, 65536)
        self.text += piece.decode(errors="replace")
        self._is_closed = not piece
        self._more.set()
        if self._is_closed:
            asyncio.get_running_loop().remove_reader(self._master)


@asynccontextmanager
async def in_terminal(
    *words: str, env: Mapping[str, str]
) -> AsyncIterator[tuple[asyncio.subprocess.Process, Terminal]]:
    """Run a command of Parley's in a terminal until the block is left."""
    master, slave = pty.openpty()
    terminal = Terminal(master)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CONTROLLED, sys.executable, "-m", "parley", *words,
        stdin=slave, stdout=slave, stderr=slave, env=dict(env),
    )  # fmt: skip
    os.close(slave)
    loop = asyncio.get_running_loop()
    loop.add_reader(master, terminal.read)
    try:
        yield process, terminal
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        loop.remove_reader(master)
        os.close(master)
