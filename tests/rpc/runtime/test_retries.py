"""Calls that are safe to repeat are repeated when the service says that what it needs is away."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc.aio import Metadata

from digitalhuman.avatar.v1 import avatar_pb2
from digitalhuman.avatar.v1.avatar_pb2_grpc import (
    AvatarServiceServicer,
    AvatarServiceStub,
    add_AvatarServiceServicer_to_server,
)
from services.runtime.channels.channel import connected
from services.runtime.channels.retries import Retries
from services.runtime.failures.errors import ServiceError, from_rpc_error
from services.runtime.failures.reasons import Reason
from services.runtime.serving.server import ServingOptions, serving

AWAY = Reason.DEPENDENCY_UNAVAILABLE
ATTEMPTS = 5


class Failing(AvatarServiceServicer):
    """Fails with the reasons that are left, then answers."""

    def __init__(self, *reasons: Reason) -> None:
        self._reasons = list(reasons)
        self.calls = 0

    def _fail(self) -> None:
        self.calls += 1
        if self._reasons:
            raise ServiceError(self._reasons.pop(0), "not now", retry_after_s=1.0)

    async def GetAvatar(
        self, request: avatar_pb2.GetAvatarRequest, context: Any
    ) -> avatar_pb2.GetAvatarResponse:
        """May be repeated."""
        self._fail()
        return avatar_pb2.GetAvatarResponse()

    async def PerformAction(
        self, request: avatar_pb2.PerformActionRequest, context: Any
    ) -> avatar_pb2.PerformActionResponse:
        """May not."""
        self._fail()
        return avatar_pb2.PerformActionResponse()


@asynccontextmanager
async def calling(servicer: Failing) -> AsyncIterator[AvatarServiceStub]:
    options = ServingOptions(host="127.0.0.1", port=0, has_reflection=False, metrics_port=0)

    def register(server: grpc.aio.Server) -> None:
        add_AvatarServiceServicer_to_server(servicer, server)

    async with (
        serving(options, ["avatar"], register) as server,
        connected(server.address) as channel,
    ):
        yield AvatarServiceStub(channel)


async def test_an_outage_that_passes_is_not_noticed() -> None:
    servicer = Failing(AWAY, AWAY)
    async with calling(servicer) as stub:
        await stub.GetAvatar(avatar_pb2.GetAvatarRequest(avatar_id="a"))
    assert servicer.calls == 3


async def refusal(servicer: Failing) -> grpc.aio.AioRpcError:
    async with calling(servicer) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetAvatar(avatar_pb2.GetAvatarRequest(avatar_id="a"))
    return caught.value


async def refused(servicer: Failing) -> Reason:
    return from_rpc_error(await refusal(servicer)).reason


async def test_one_that_lasts_is_told() -> None:
    servicer = Failing(*[AWAY] * 10)
    assert await refused(servicer) is AWAY
    assert servicer.calls == ATTEMPTS


async def test_no_attempt_is_begun_that_could_not_end_in_time() -> None:
    error = await refusal(Failing(*[AWAY] * 10))
    left: list[float | None] = []

    async def fail(details: grpc.aio.ClientCallDetails, request: Any) -> None:
        left.append(details.timeout)
        raise error

    method = "/digitalhuman.avatar.v1.AvatarService/GetAvatar"
    details = grpc.aio.ClientCallDetails(method, 0.05, None, None, None)
    with pytest.raises(grpc.aio.AioRpcError):
        await Retries().intercept_unary_unary(fail, details, None)
    assert len(left) == 1


async def test_an_answer_is_not_lost_by_a_later_silence() -> None:
    away = await refusal(Failing(*[AWAY] * 10))
    outcomes = [
        away,
        grpc.aio.AioRpcError(grpc.StatusCode.DEADLINE_EXCEEDED, Metadata(), Metadata()),
    ]

    async def fail(details: grpc.aio.ClientCallDetails, request: Any) -> None:
        raise outcomes.pop(0)

    method = "/digitalhuman.avatar.v1.AvatarService/GetAvatar"
    details = grpc.aio.ClientCallDetails(method, 60.0, None, None, None)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await Retries().intercept_unary_unary(fail, details, None)
    assert (caught.value, outcomes) == (away, [])


@pytest.mark.parametrize("reason", [Reason.CLOUD_BUSY, Reason.AVATAR_START_FAILED, Reason.INTERNAL])
async def test_other_failures_are_for_the_caller(reason: Reason) -> None:
    servicer = Failing(reason)
    assert await refused(servicer) is reason
    assert servicer.calls == 1


async def test_what_may_not_be_repeated_is_not() -> None:
    servicer = Failing(AWAY)
    async with calling(servicer) as stub:
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.PerformAction(avatar_pb2.PerformActionRequest(avatar_id="a", action="wave"))
    assert servicer.calls == 1
