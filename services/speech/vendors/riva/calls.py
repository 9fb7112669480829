"""Calls to Riva, which stream in both directions, and how they fail."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import grpc
import structlog
from google.protobuf.message import Message

from services.speech.ports.errors import ProviderError, ProviderQuotaError
from services.speech.ports.stages import Stage
from services.speech.vendors.http.client import CONNECT_S, WRITE_S, Endpoint, malformed_answer
from services.speech.vendors.http.error_details import redacted
from services.speech.vendors.riva.settings import RivaSettings

log = structlog.get_logger(__name__)

UNACKNOWLEDGED_S = 5
"""After how long without any acknowledgement of what was sent the connection is lost."""
PING_S = 300
"""Servers break connections with more pings than this, unless they are told otherwise."""
LONGEST_MESSAGE = 1 << 24

_RETRY_ONCE = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 2,
                "initialBackoff": "0.05s",
                "maxBackoff": "0.05s",
                "backoffMultiplier": 1,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}
"""Until anything is answered: a connection may have been closed while it was idle."""

_MISUSE = frozenset(
    (
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNIMPLEMENTED,
    )
)

T = TypeVar("T")
Sent = TypeVar("Sent", bound=Message)
Received = TypeVar("Received", bound=Message)


@asynccontextmanager
async def open_channel(
    settings: RivaSettings, endpoint: Endpoint
) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to the server, which connects at once; the provider itself enforces deadlines."""
    options: list[tuple[str, Any]] = [
        ("grpc.keepalive_time_ms", PING_S * 1000),
        ("grpc.keepalive_timeout_ms", UNACKNOWLEDGED_S * 1000),
        # The least time of an attempt to connect.
        ("grpc.min_reconnect_backoff_ms", round(CONNECT_S * 1000)),
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", 1_000),
        ("grpc.max_receive_message_length", LONGEST_MESSAGE),
        ("grpc.service_config", json.dumps(_RETRY_ONCE)),
        ("grpc.enable_http_proxy", int(endpoint.proxy is not None)),
    ]
    if endpoint.proxy is not None:
        options.append(("grpc.http_proxy", endpoint.proxy))
    if settings.has_tls:
        tls = grpc.ssl_channel_credentials()
        channel = grpc.aio.secure_channel(settings.target, tls, options=options)
    else:
        channel = grpc.aio.insecure_channel(settings.target, options=options)
    async with channel:
        channel.get_state(try_to_connect=True)
        yield channel


class RivaCall(Generic[Sent, Received]):
    """A call whose requests and responses stream independently."""

    def __init__(
        self,
        call: "grpc.aio.StreamStreamCall[Sent, Received]",
        endpoint: Endpoint,
        stage: Stage,
    ) -> None:
        self._call = call
        self._end: _End | None = None
        call.add_done_callback(self._note_end)
        self._endpoint = endpoint
        self._stage = stage

    async def send(self, request: Sent) -> None:
        """Send a request; raises ProviderError, or TimeoutError, if the server takes no more."""
        try:
            async with asyncio.timeout(WRITE_S):
                await self._call.write(request)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            raise await self._failure() from None
        except asyncio.CancelledError:
            self._call.cancel()
            raise

    async def finish(self) -> None:
        """Say that no request follows; nothing happens if the call has ended."""
        await self._call.done_writing()

    async def responses(self) -> AsyncIterator[Received]:
        """Yield responses until the server ends the call well; raises ProviderError."""
        try:
            async for response in self._call:
                if response is None:  # gRPC's word for bytes that are no such message.
                    raise self.malformed("a response of another shape")
                yield response
        except grpc.aio.AioRpcError:
            raise await self._failure() from None

    def malformed(self, what: str) -> ProviderError:
        """Return the error for a response that breaks the protocol."""
        return malformed_answer(self._stage, self._endpoint, what)

    def _note_end(self, call: "grpc.aio.StreamStreamCall[Sent, Received]") -> None:
        """Note how the server ended the call: a write that fails then makes gRPC forget it."""
        if self._end is None:
            self._end = _End(code=_at_once(call.code()), details=_at_once(call.details()))

    async def _failure(self) -> ProviderError:
        await self._call.code()  # Waits for the end.
        assert self._end is not None
        return _failure(self._end, self._endpoint, self._stage)


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """How a call ended."""

    code: grpc.StatusCode
    details: str | None


def _failure(end: _End, endpoint: Endpoint, stage: Stage) -> ProviderError:
    what = f"the provider ends the call with {end.code.name}"
    said = redacted(end.details or "", endpoint.api_key)
    if end.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return ProviderQuotaError(stage, endpoint.name, what, vendor_message=said)
    is_transient = end.code not in _MISUSE
    return ProviderError(stage, endpoint.name, what, transient=is_transient, vendor_message=said)


def _at_once(known: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns that has nothing to wait for."""
    try:
        known.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    raise AssertionError("it waits")


async def answered(call: Awaitable[Received], endpoint: Endpoint, stage: Stage) -> Received:
    """Return the answer to a call with one; raises ProviderError."""
    try:
        answer: Received | None = await call
    except grpc.aio.AioRpcError as error:
        end = _End(code=error.code(), details=error.details())
        raise _failure(end, endpoint, stage) from None
    if answer is None:
        raise malformed_answer(stage, endpoint, "an answer of another shape")
    return answer


@asynccontextmanager
async def open_call(
    start: "Callable[[], grpc.aio.StreamStreamCall[Sent, Received]]",
    endpoint: Endpoint,
    stage: Stage,
    request_id: str,
) -> AsyncIterator[RivaCall[Sent, Received]]:
    """A call, which is cancelled at the end unless it has ended. Raises ProviderError."""
    call = start()
    try:
        yield RivaCall(call, endpoint, stage)
    except ProviderError:
        log.warning(
            "vendor call failed", stage=stage, provider=endpoint.name, request_id=request_id
        )
        raise
    finally:
        call.cancel()
        await call.code()
