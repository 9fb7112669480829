"""Channels to the other services: one per peer and process, opened where it is composed."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
from grpc.aio import Metadata

from services.runtime.liveness import CHANNEL_OPTIONS

SERVICE_CONFIG = Path(__file__).with_name("service_config.json")


@asynccontextmanager
async def connected(target: str) -> AsyncIterator[grpc.aio.Channel]:
    """Open a channel with the published retry and timeout policy; it connects on first use.

    By that policy a call waits, within its deadline, for an absent peer: it may just be restarting.
    """
    options = [
        # The environment's proxies are not for our own processes.
        ("grpc.enable_http_proxy", 0),
        ("grpc.service_config", json.dumps(json.loads(SERVICE_CONFIG.read_text()))),
        # Reconnect soon after a peer restarts; by default that may take two minutes.
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", 1_000),
        *CHANNEL_OPTIONS,
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", 65_536),
    ]
    answers = _Answers()
    async with grpc.aio.insecure_channel(
        target, options=options, interceptors=[answers]
    ) as channel:
        answers.channel = channel
        yield channel


class _Answers(grpc.aio.UnaryUnaryClientInterceptor):
    """Distinguishes a peer that is absent or unintelligible from one that is slow."""

    channel: grpc.aio.Channel

    async def intercept_unary_unary(
        self, continuation: Callable[..., Any], client_call_details: Any, request: Any
    ) -> Any:
        """Make the call."""
        call = await continuation(client_call_details, request)
        try:
            response = await call
        except grpc.aio.AioRpcError as error:
            is_late = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            if is_late and self.channel.get_state() is not grpc.ChannelConnectivity.READY:
                raise _unavailable("the peer is not there") from error
            raise
        if response is None:  # What gRPC makes of bytes that are not the message.
            raise _unavailable("the answer cannot be read")
        return call


def _unavailable(what: str) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, Metadata(), Metadata(), details=what)
