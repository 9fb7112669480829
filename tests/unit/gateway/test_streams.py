"""Calls that stream, and their ends."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from grpc.aio import Metadata

from gateway.backend.streams import responses_of


async def fails_as_it_is_cancelled(started: asyncio.Event) -> AsyncIterator[bytes]:
    """As grpc.aio does when a call fails before its reader's cancellation has reached it."""
    started.set()
    try:
        await asyncio.Event().wait()
        yield b""
    except asyncio.CancelledError:
        code = grpc.StatusCode.UNAVAILABLE
        raise grpc.aio.AioRpcError(code, Metadata(), Metadata()) from None


async def test_a_call_that_fails_does_not_swallow_a_cancellation() -> None:
    started = asyncio.Event()

    async def read() -> None:
        async for _ in responses_of(fails_as_it_is_cancelled(started)):
            pass

    reading = asyncio.create_task(read())
    await started.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert reading.cancelled()
