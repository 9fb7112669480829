"""Reports when processes are ready: by gRPC's health watch, or by polling over HTTP.

`python -m parley.readiness TARGET` waits for one: `host:port` of gRPC, or an http address.
"""

import asyncio
import sys
from collections.abc import Mapping

import grpc
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc

from parley.plan import Listener

_HEALTH_PATHS = {"engine": "/healthz", "gateway": "/readyz"}
_WAIT_S = 5.0
_RETRY_S = 0.25
_ANSWER_TIMEOUT_S = 5.0


def base_url(listener: Listener, environment: Mapping[str, str]) -> str:
    """Return the address of an HTTP process, as seen from this machine."""
    return f"http://{listener.address(environment)}"


async def until_ready(listener: Listener, environment: Mapping[str, str]) -> None:
    """Return once the process that listens there is ready; the caller sets the deadline."""
    path = _HEALTH_PATHS.get(listener.process)
    if path is None:
        await until_serving(listener.address(environment))
    else:
        await until_answering(base_url(listener, environment) + path)


async def until_serving(target: str) -> None:
    """Return once the gRPC server reports that it is serving."""
    # A server that is starting refuses connections; retry soon.
    options = [
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 250),
        # The environment's proxies are not for our own processes.
        ("grpc.enable_http_proxy", 0),
    ]
    async with grpc.aio.insecure_channel(target, options=options) as channel:
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


async def until_answering(url: str) -> None:
    """Return once a GET succeeds; over HTTP one can only poll."""
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
        await (until_answering if target.startswith("http") else until_serving)(target)


if __name__ == "__main__":
    try:
        asyncio.run(_wait(sys.argv[1]))
    except TimeoutError:
        sys.exit(f"{sys.argv[1]} is not ready")
