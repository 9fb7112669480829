"""Holds a conversation at the speech replica that owns it, whichever that is."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TypeAlias

import grpc
import structlog
from grpc_status import rpc_status

from digitalhuman.speech.v1 import speech_pb2 as pb
from digitalhuman.speech.v1.speech_pb2_grpc import SpeechServiceStub
from gateway.backend.streams import ended, responses_of
from services.runtime.callers.requests import outgoing_metadata
from services.runtime.channels.replicas import Replicas
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import RULES, Reason, Recovery
from services.runtime.settings.values import is_address

log = structlog.get_logger(__name__)

OPENING_S = 8.0
"""How long an owner that is gone is waited out: longer than its lease."""

PAUSE_S = 0.25
LONGEST_PAUSE_S = 1.0
"""The bounds of the pause before all replicas are asked again."""

_MOVES = frozenset({Reason.CONVERSATION_ELSEWHERE, Reason.CONVERSATION_MOVED})

ConverseCall: TypeAlias = "grpc.aio.StreamStreamCall[pb.ConverseRequest, pb.ConverseResponse]"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """A stream that was accepted with its first response; leaving its `life` cancels it."""

    call: ConverseCall
    first: pb.ConverseResponse
    rest: AsyncGenerator[pb.ConverseResponse, None]
    life: AsyncExitStack


@asynccontextmanager
async def conversing(
    speeches: Replicas[SpeechServiceStub],
    setup: pb.ConverseRequest,
    inputs: AsyncGenerator[pb.ConverseRequest, None],
    *,
    timeout_s: float | None,
    patience_s: float,
    service_token: str | None,
) -> AsyncIterator[AsyncIterator[pb.ConverseResponse]]:
    """Send the setup and all inputs, then half-close; leaving the block cancels the call.

    Inputs are taken one by one, each after the one before has been written, and none before a
    replica has accepted the setup: so any number of replicas can be asked. While all are absent,
    one is waited for `patience_s` long. Raises ServiceError; a conversation that moves away is an
    outage like any other.
    """
    opening = _Opening(
        speeches,
        setup,
        timeout_s=timeout_s,
        patience_s=patience_s,
        service_token=service_token,
    )
    async with aclosing(inputs):
        opened = await opening.accepted()
        writing = asyncio.create_task(_write(opened.call, inputs))
        try:
            async with opened.life, aclosing(_followed(opened)) as responses:
                yield responses
        finally:
            # Last: cancelling a writer cancels its call, if that is still running.
            writing.cancel()
            await asyncio.wait({writing})


class _Opening:
    """Asks one replica after the other to accept a setup."""

    def __init__(
        self,
        speeches: Replicas[SpeechServiceStub],
        setup: pb.ConverseRequest,
        *,
        timeout_s: float | None,
        patience_s: float,
        service_token: str | None,
    ) -> None:
        self._patience_s = patience_s
        self._speeches = speeches
        self._setup = setup
        self._task_id = setup.setup.task_id
        self._service_token = service_token
        self._loop = asyncio.get_running_loop()
        self._began_at = self._loop.time()
        self._timeout_s = timeout_s

    async def accepted(self) -> _Opened:
        """Return the stream of the replica that accepts; raises ServiceError when none does.

        The likely owner is asked first, then whom it names, then the others. An owner that does not
        answer keeps the conversation until its lease is over, so that all are asked again.
        """
        while True:
            answer = await self._ask_all()
            if isinstance(answer, _Opened):
                return answer
            if self._elapsed_s >= self._longest_s(answer):
                raise _outage(answer[-1])
            await asyncio.sleep(_pause_s(answer))

    @property
    def _elapsed_s(self) -> float:
        return self._loop.time() - self._began_at

    def _longest_s(self, refusals: Sequence[ServiceError]) -> float:
        """Return for how long to ask in the face of such refusals."""
        if any(map(_owner, refusals)):
            return max(OPENING_S, self._patience_s)
        return self._patience_s if all(map(_is_absent, refusals)) else 0.0

    async def _ask_all(self) -> _Opened | list[ServiceError]:
        """Return the stream of the replica that accepts, or why none does."""
        waiting = deque(self._speeches.ranking(self._task_id))
        asked: set[str] = set()
        refusals: list[ServiceError] = []
        while waiting:
            address = waiting.popleft()
            if address in asked:
                continue
            asked.add(address)
            try:
                return await self._ask(address)
            except ServiceError as error:
                if RULES[error.reason].recovery is not Recovery.OUTAGE:
                    raise
                refusals.append(error)
                if owner := _owner(error):
                    waiting.appendleft(owner)
        return refusals

    async def _ask(self, address: str) -> _Opened:
        left_s = None if self._timeout_s is None else max(0.0, self._timeout_s - self._elapsed_s)
        call: ConverseCall = self._speeches.at(address).Converse(
            timeout=left_s, metadata=outgoing_metadata(self._service_token)
        )
        async with AsyncExitStack() as life:
            await life.enter_async_context(ended(call))
            # Whoever reads the call gets the error.
            with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await call.write(self._setup)
            responses = await life.enter_async_context(aclosing(responses_of(call)))
            first = await anext(responses, None)
            if first is None:
                raise ServiceError(
                    Reason.DEPENDENCY_UNAVAILABLE, "A conversation ended before it began."
                )
            kept = life.pop_all()
        return _Opened(call=call, first=first, rest=responses, life=kept)


async def _write(call: ConverseCall, inputs: AsyncGenerator[pb.ConverseRequest, None]) -> None:
    """Write all inputs: the only writer of its call."""
    # The reader of the call gets the error.
    with suppress(grpc.aio.AioRpcError, grpc.aio.InternalError, asyncio.InvalidStateError):
        async for request in inputs:
            await call.write(request)
        await call.done_writing()


async def _followed(opened: _Opened) -> AsyncGenerator[pb.ConverseResponse, None]:
    yield opened.first
    try:
        async for response in opened.rest:
            yield response
    except ServiceError as error:
        raise _outage(error) from error.__cause__


def _owner(error: ServiceError) -> str:
    """Return the address of the owner that an error names; empty for any other error."""
    if error.reason is not Reason.CONVERSATION_ELSEWHERE:
        return ""
    address = error.metadata.get("owner_address", "")
    return address if is_address(address) else ""


def _is_absent(error: ServiceError) -> bool:
    """Whether a replica is not there, or not for long, rather than in trouble itself."""
    if error.reason is Reason.DRAINING:
        return True
    cause = error.__cause__
    return (
        isinstance(cause, grpc.aio.AioRpcError)
        and cause.code() is grpc.StatusCode.UNAVAILABLE
        and rpc_status.from_call(cause) is None
    )


def _pause_s(refusals: Sequence[ServiceError]) -> float:
    """Return when to ask again: soon, if the owner shuts down, else when its lease may be over."""
    if any(each.reason is Reason.DRAINING for each in refusals):
        return PAUSE_S
    left_s = max(each.retry_after_s or 0.0 for each in refusals)
    return min(max(PAUSE_S, left_s), LONGEST_PAUSE_S)


def _outage(error: ServiceError) -> ServiceError:
    """Return an error without addresses of ours, which are nothing to the gateway's clients."""
    if error.reason not in _MOVES:
        return error
    return ServiceError(
        Reason.DEPENDENCY_UNAVAILABLE,
        "The conversation moves to another replica.",
        retry_after_s=error.retry_after_s,
    )
