"""A gRPC server that serves while its context is open and drains when it closes."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.runtime.liveness import SERVER_OPTIONS
from services.runtime.security.tls import Tls
from services.runtime.serving.accepting import grpc_server
from services.runtime.serving.interceptors import (
    AuthInterceptor,
    CallerInterceptor,
    ContextInterceptor,
    ErrorInterceptor,
    IdentityInterceptor,
    ValidationInterceptor,
)
from services.runtime.telemetry.metrics import metrics_served

log = structlog.get_logger(__name__)

MAX_MESSAGE_BYTES = 1 << 20

Register: TypeAlias = Callable[[grpc.aio.Server], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingOptions:
    """How a service listens. `port` 0 means any free one; `metrics_port` 0 means none.

    Any of the `service_tokens` is accepted, and the first is sent to other services; without `tls`
    nothing is encrypted.
    """

    host: str
    port: int
    service_tokens: tuple[str, ...] = ()
    tls: Tls | None = None
    has_reflection: bool = False
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0
    drain_s: float = 5.0

    @property
    def service_token(self) -> str | None:
        """The token to send to other services."""
        return next(iter(self.service_tokens), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A server that is up."""

    address: str
    health: health.aio.HealthServicer
    names: tuple[str, ...]

    async def report(self, *, is_ready: bool) -> None:
        """Report by its health whether the server can do its work; it answers calls anyway."""
        states = health_pb2.HealthCheckResponse
        for name in self.names:
            await self.health.set(name, states.SERVING if is_ready else states.NOT_SERVING)


@asynccontextmanager
async def serving(
    options: ServingOptions, services: Sequence[str], *registrations: Register
) -> AsyncIterator[Serving]:
    """Serve until the block is left, then refuse new calls and let running ones finish.

    `services` are the full proto names for health and reflection. Raises OSError if the address is
    taken.
    """
    health_servicer = health.aio.HealthServicer()
    server = grpc_server(_interceptors(options), _channel_options())
    for register in registrations:
        register(server)
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    if options.has_reflection:
        names = (*services, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
    address = _bind(server, options)
    server_up = Serving(address=address, health=health_servicer, names=("", *services))
    await server.start()
    try:
        await server_up.report(is_ready=True)
        log.info("service up", address=address)
        async with metrics_served(options.metrics_host, options.metrics_port):
            yield server_up
    finally:
        await health_servicer.enter_graceful_shutdown()
        await server.stop(options.drain_s)
    log.info("service down", address=address)


def _interceptors(options: ServingOptions) -> list[grpc.aio.ServerInterceptor]:
    identity = [IdentityInterceptor()] if options.tls else []
    auth = [AuthInterceptor(options.service_tokens)] if options.service_tokens else []
    return [
        ContextInterceptor(),
        ErrorInterceptor(),
        *identity,
        *auth,
        CallerInterceptor(),
        ValidationInterceptor(),
    ]


def _channel_options() -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        *SERVER_OPTIONS,
        # A small window: audio waits at its source, not in transport buffers.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", 65_536),
        ("grpc.so_reuseport", 0),
    ]


def _bind(server: grpc.aio.Server, options: ServingOptions) -> str:
    host = f"[{options.host}]" if ":" in options.host else options.host
    wanted = f"{host}:{options.port}"
    try:
        if options.tls is None:
            port = server.add_insecure_port(wanted)
        else:
            port = server.add_secure_port(wanted, options.tls.server_credentials())
    except RuntimeError:
        raise OSError(f"cannot listen on {wanted}: the address is taken or not ours") from None
    return f"{host}:{port}"
