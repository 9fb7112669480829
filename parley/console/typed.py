"""What is typed, or comes through a pipe, line by line."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import suppress

_LONGEST_LINE = 64 * 1024


async def typed_lines(descriptor: int) -> AsyncIterator[str]:
    """Yield the lines of an open file, without their ends, until there are no more."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str | None] = asyncio.Queue()

    def read() -> None:
        # Unbuffered, the thread waits without a lock that Python takes when the program ends.
        with open(descriptor, "rb", buffering=0, closefd=False) as file, suppress(RuntimeError):
            # A RuntimeError says that the loop is closed: nobody waits any more.
            while line := file.readline(_LONGEST_LINE):
                text = line.decode(errors="replace").rstrip("\r\n")
                loop.call_soon_threadsafe(lines.put_nowait, text)
            loop.call_soon_threadsafe(lines.put_nowait, None)

    threading.Thread(target=read, daemon=True, name="typed").start()
    while (line := await lines.get()) is not None:
        yield line
