"""Calls that stream: their responses with one error type, and their end."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import grpc

from services.runtime.failures.errors import UNWRITTEN, ServiceError, from_rpc_error
from services.runtime.failures.reasons import Reason

Res = TypeVar("Res")


async def responses_of(call: AsyncIterable[Res]) -> AsyncGenerator[Res, None]:
    """Yield the responses of a call; raises ServiceError."""
    try:
        async for response in call:
            if response is None:  # gRPC's value for bytes that do not parse.
                raise ServiceError(
                    Reason.DEPENDENCY_UNAVAILABLE, "A service's answer cannot be read."
                )
            yield response
    except grpc.aio.AioRpcError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            # Cancelled as the call failed: grpc.aio takes that for the call's own end.
            raise asyncio.CancelledError from error
        raise from_rpc_error(error) from error


def is_unwritten(error: ServiceError) -> bool:
    """Whether a call ended before its last request was written, for a reason that is lost."""
    cause = error.__cause__
    return isinstance(cause, grpc.aio.AioRpcError) and cause.details() == UNWRITTEN


@asynccontextmanager
async def ended(call: "grpc.aio.Call") -> AsyncIterator[None]:
    """Cancel a call and wait for its end: grpc never frees a call that is merely dropped."""
    try:
        yield
    finally:
        call.cancel()
        with suppress(grpc.aio.AioRpcError):
            await call.code()
