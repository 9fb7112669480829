"""Work that goes on while the microphone is listened to."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def in_background(work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
    """Start a task; a failure whose result nobody needs is ignored."""
    task = asyncio.create_task(work)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task
