"""Channels to the other services."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any

import grpc
from grpc.aio import Metadata

from services.runtime.channels.retries import SERVICE_CONFIG, Retries
from services.runtime.channels.rotation import RotatingChannel
from services.runtime.liveness import CHANNEL_OPTIONS
from services.runtime.security.tls import PeerTls


class Balancing(StrEnum):
    """Which of the addresses that a target stands for is called."""

    FIRST = "pick_first"
    """The first that answers."""
    ALL = "round_robin"
    """All that answer, in turn; a call that one did not take is retried at another."""


def open_channel(
    target: str, balancing: Balancing = Balancing.FIRST, *, tls: PeerTls | None = None
) -> grpc.aio.Channel:
    """Return a channel with the published retry and timeout policy; its caller closes it.

    By that policy a call waits, within its deadline, for an absent peer: it may just be restarting.
    Without `tls` nothing is encrypted.
    """
    options = _options(balancing)
    if tls is None:
        return _open(target, options, None)
    # The peer must be the service, wherever it is reached.
    options.append(("grpc.ssl_target_name_override", tls.peer.dns_name))
    return RotatingChannel(
        tls.own, lambda material: _open(target, options, material.channel_credentials())
    )


def _options(balancing: Balancing) -> list[tuple[str, Any]]:
    service_config = json.loads(SERVICE_CONFIG.read_text())
    service_config["loadBalancingConfig"] = [{balancing.value: {}}]
    return [
        # The environment's proxies are not for our own processes.
        ("grpc.enable_http_proxy", 0),
        ("grpc.service_config", json.dumps(service_config)),
        # Reconnect soon after a peer restarts; by default that may take two minutes.
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", 1_000),
        *CHANNEL_OPTIONS,
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", 65_536),
    ]


def _open(
    target: str, options: Sequence[tuple[str, Any]], credentials: grpc.ChannelCredentials | None
) -> grpc.aio.Channel:
    answers = _Answers()
    interceptors = [Retries(), answers]
    channel = (
        grpc.aio.insecure_channel(target, options=options, interceptors=interceptors)
        if credentials is None
        else grpc.aio.secure_channel(
            target, credentials, options=options, interceptors=interceptors
        )
    )
    answers.channel = channel
    return channel


@asynccontextmanager
async def connected(target: str, *, tls: PeerTls | None = None) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to one peer, which connects on first use."""
    async with open_channel(target, tls=tls) as channel:
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
