"""Reports when processes are ready: by gRPC's health watch, or by polling over HTTP.

`python -m parley.readiness TARGET` waits for one: the name of a process that the environment's
settings describe, `host:port` of gRPC without TLS, or an http address.
"""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parley.plan.listeners import LISTENERS, Listener
from services.runtime.security.identities import Identity, tls_variables

if TYPE_CHECKING:
    import grpc

_HEALTH_PATHS = {"engine": "/healthz", "gateway": "/readyz"}
_WAIT_S = 5.0
_RETRY_S = 0.25
_ANSWER_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Credentials:
    """The TLS of a call: what is shown and trusted, and who must answer."""

    channel: "grpc.ChannelCredentials"
    name: str


async def until_ready(listener: Listener, environment: Mapping[str, str]) -> None:
    """Return once the process that listens there is ready; the caller sets the deadline."""
    path = _HEALTH_PATHS.get(listener.process)
    if path is None:
        await until_serving(
            listener.address(environment), _credentials(listener.process, environment)
        )
    else:
        await until_answering(listener.url(environment) + path)


async def until_target_ready(target: str, environment: Mapping[str, str]) -> None:
    """Return once a process is ready, by its name or by its address; see the module."""
    if listener := next((each for each in LISTENERS if each.process == target), None):
        await until_ready(listener, environment)
    else:
        await (until_answering if target.startswith("http") else until_serving)(target)


async def until_serving(target: str, credentials: _Credentials | None = None) -> None:
    """Return once the gRPC server reports that it is serving."""
    # Most commands only need an address.
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    # A server that is starting refuses connections; retry soon.
    options = [
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 250),
        # The environment's proxies are not for our own processes.
        ("grpc.enable_http_proxy", 0),
    ]
    async with _channel(target, credentials, options) as channel:
        request = health_pb2.HealthCheckRequest()
        while True:
            watch = health_pb2_grpc.HealthStub(channel).Watch(request, wait_for_ready=True)
            try:
                async for answer in watch:
                    if answer.status == health_pb2.HealthCheckResponse.SERVING:
                        return
            except grpc.aio.AioRpcError:
                await asyncio.sleep(_RETRY_S)
            finally:
                watch.cancel()


def _credentials(process: str, environment: Mapping[str, str]) -> _Credentials | None:
    """Return what a process that has TLS shows to others, and by which it is known to itself."""
    variables = tls_variables(Identity(process))
    if not all(environment.get(each) for each in variables):
        return None
    import grpc

    certificate, key, authorities = (Path(environment[each]).read_bytes() for each in variables)
    return _Credentials(
        channel=grpc.ssl_channel_credentials(authorities, key, certificate),
        name=Identity(process).dns_name,
    )


def _channel(
    target: str, credentials: _Credentials | None, options: Sequence[tuple[str, Any]]
) -> "grpc.aio.Channel":
    import grpc

    if credentials is None:
        return grpc.aio.insecure_channel(target, options=options)
    named = [*options, ("grpc.ssl_target_name_override", credentials.name)]
    return grpc.aio.secure_channel(target, credentials.channel, options=named)


async def until_answering(url: str) -> None:
    """Return once a GET succeeds; over HTTP one can only poll."""
    # Probes of gRPC do without.
    import httpx

    async with httpx.AsyncClient(timeout=_ANSWER_TIMEOUT_S, trust_env=False) as client:
        while True:
            try:
                answer = await client.get(url)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.is_success:
                return
            await asyncio.sleep(_RETRY_S)


async def _wait(target: str) -> None:
    async with asyncio.timeout(_WAIT_S):
        await until_target_ready(target, os.environ)


if __name__ == "__main__":
    try:
        asyncio.run(_wait(sys.argv[1]))
    except TimeoutError:
        sys.exit(f"{sys.argv[1]} is not ready")
