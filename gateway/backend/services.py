"""The services behind the gateway: calls have a deadline, the request id and one error type."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from digitalhuman.avatar.v1.avatar_pb2_grpc import AvatarServiceStub
from digitalhuman.speech.v1 import speech_pb2
from digitalhuman.speech.v1.speech_pb2_grpc import SpeechServiceStub
from digitalhuman.task.v1 import task_pb2
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from services.runtime.channel import connected
from services.runtime.errors import ServiceError, from_rpc_error
from services.runtime.reasons import RULES, Reason
from services.runtime.requests import outgoing_metadata

Req = TypeVar("Req")
Res = TypeVar("Res")

CALL_TIMEOUT_S = 15.0
HEALTH_TIMEOUT_S = 2.0
SPEECH_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Where the services listen, each as `host:port`."""

    task: str
    speech: str
    avatar: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """The stubs of the three services. Every method raises ServiceError and nothing else."""

    task: TaskServiceStub
    speech: SpeechServiceStub
    avatar: AvatarServiceStub
    health: Mapping[str, Any]
    """Health stubs by full service name; their package has no types."""
    service_token: str | None

    async def ask(self, method: "grpc.aio.UnaryUnaryMultiCallable[Req, Res]", request: Req) -> Res:
        """Return the answer of a unary call."""
        try:
            return await method(
                request, timeout=CALL_TIMEOUT_S, metadata=outgoing_metadata(self.service_token)
            )
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error

    @asynccontextmanager
    async def converse(
        self,
        setup: speech_pb2.ConverseRequest,
        inputs: AsyncGenerator[speech_pb2.ConverseRequest, None],
        *,
        timeout_s: float | None = None,
        patience_s: float = 0.0,
    ) -> AsyncIterator[AsyncIterator[speech_pb2.ConverseResponse]]:
        """Send the setup and all inputs, then half-close; leaving the block cancels the call.

        Inputs are taken one by one, each after the one before has been written. An absent speech
        service is waited for `patience_s` long.
        """
        is_open = asyncio.get_running_loop().create_future()
        call = self.speech.Converse(
            timeout=timeout_s,
            metadata=outgoing_metadata(self.service_token),
            wait_for_ready=patience_s > 0,
        )
        writing = asyncio.create_task(_write(call, setup, inputs, is_open))
        try:
            async with _ended(call), aclosing(_opening(call, is_open)) as responses:
                if patience_s > 0:
                    await _connected(call, patience_s)
                yield responses
        finally:
            # Last: cancelling a writer cancels its call, if that is still running.
            writing.cancel()
            await asyncio.wait({writing})

    @asynccontextmanager
    async def watch(
        self, request: task_pb2.WatchTaskRequest
    ) -> AsyncIterator[AsyncIterator[task_pb2.WatchTaskResponse]]:
        """Watch a task until its end, or until the block is left."""
        call = self.task.WatchTask(request, metadata=outgoing_metadata(self.service_token))
        async with _ended(call), aclosing(_responses(call)) as responses:
            yield responses

    @asynccontextmanager
    async def synthesize(
        self, request: speech_pb2.SynthesizeRequest
    ) -> AsyncIterator[AsyncIterator[speech_pb2.SynthesizeResponse]]:
        """Have a text spoken, until its end or until the block is left."""
        call = self.speech.Synthesize(
            request, timeout=SPEECH_TIMEOUT_S, metadata=outgoing_metadata(self.service_token)
        )
        async with _ended(call), aclosing(_responses(call)) as responses:
            yield responses

    async def is_serving(self, service: str) -> bool:
        """Whether a service reports that it is serving."""
        request = health_pb2.HealthCheckRequest(service=service)
        try:
            answer = await self.health[service].Check(request, timeout=HEALTH_TIMEOUT_S)
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@asynccontextmanager
async def connecting(targets: Targets, *, service_token: str | None) -> AsyncIterator[Backend]:
    """Open a channel to each service; they connect when first used."""
    async with AsyncExitStack() as stack:
        task = await stack.enter_async_context(connected(targets.task))
        speech = await stack.enter_async_context(connected(targets.speech))
        avatar = await stack.enter_async_context(connected(targets.avatar))
        yield Backend(
            task=TaskServiceStub(task),
            speech=SpeechServiceStub(speech),
            avatar=AvatarServiceStub(avatar),
            health={
                "digitalhuman.task.v1.TaskService": health_pb2_grpc.HealthStub(task),
                "digitalhuman.speech.v1.SpeechService": health_pb2_grpc.HealthStub(speech),
                "digitalhuman.avatar.v1.AvatarService": health_pb2_grpc.HealthStub(avatar),
            },
            service_token=service_token,
        )


async def _write(
    call: "grpc.aio.StreamStreamCall[Req, Res]",
    setup: Req,
    inputs: AsyncGenerator[Req, None],
    is_open: asyncio.Future[None],
) -> None:
    """Write the setup, and the rest once it was accepted: the only writer of its call.

    A write that crosses a refusal would replace it with an internal error.
    """
    # The reader of the call gets the error.
    with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
        async with aclosing(inputs):
            await call.write(setup)
            await is_open
            async for request in inputs:
                await call.write(request)
            await call.done_writing()


async def _connected(call: "grpc.aio.StreamStreamCall[Req, Res]", within_s: float) -> None:
    """Wait until a call has reached its peer. Raises ServiceError."""
    try:
        async with asyncio.timeout(within_s):
            await call.wait_for_connection()
    except TimeoutError:
        raise ServiceError(
            Reason.DEPENDENCY_UNAVAILABLE, RULES[Reason.DEPENDENCY_UNAVAILABLE].title + "."
        ) from None
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from error


async def _opening(
    call: AsyncIterable[Res], is_open: asyncio.Future[None]
) -> AsyncGenerator[Res, None]:
    async with aclosing(_responses(call)) as responses:
        async for response in responses:
            if not is_open.done():
                is_open.set_result(None)
            yield response


async def _responses(call: AsyncIterable[Res]) -> AsyncGenerator[Res, None]:
    try:
        async for response in call:
            if response is None:  # gRPC's value for bytes that do not parse.
                raise ServiceError(
                    Reason.DEPENDENCY_UNAVAILABLE, "A service's answer cannot be read."
                )
            yield response
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from error


@asynccontextmanager
async def _ended(call: "grpc.aio.Call") -> AsyncIterator[None]:
    """Cancel a call and wait for its end: grpc never frees a call that is merely dropped."""
    try:
        yield
    finally:
        call.cancel()
        with suppress(grpc.aio.AioRpcError):
            await call.code()
