"""Processes that are not the test's own children."""

import asyncio
import os


async def await_end(pid: int) -> None:
    """Return when a process has ended, reaped or not; the system wakes us, we do not look."""
    loop = asyncio.get_running_loop()
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    loop.add_reader(watched, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(watched)
        os.close(watched)
