"""Tells when the processes are ready: health watches for gRPC, /readyz for HTTP."""

import asyncio
from collections.abc import Mapping

import grpc
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc

from parley.plan import GRPC_PROCESSES, Listener

_RETRY_S = 0.25
_ANSWER_TIMEOUT_S = 5.0


def base_url(listener: Listener, environment: Mapping[str, str]) -> str:
    """The address of an HTTP process, as seen from this machine."""
    return f"http://{reachable(listener.host(environment))}:{listener.port(environment)}"


def reachable(host: str) -> str:
    """The address by which this machine reaches what listens on `host`."""
    match host:
        case "0.0.0.0":
            return "127.0.0.1"
        case "::":
            return "[::1]"
        case _:
            return f"[{host}]" if ":" in host else host


async def until_ready(listener: Listener, environment: Mapping[str, str]) -> None:
    """Return when the process that listens there is ready; the caller sets the deadline."""
    host, port = reachable(listener.host(environment)), listener.port(environment)
    if listener.process in GRPC_PROCESSES:
        await until_serving(f"{host}:{port}")
    else:
        await until_answering(f"http://{host}:{port}/readyz")


async def until_serving(target: str) -> None:
    """Return when the gRPC server says that it serves."""
    # A server that is about to start refuses connections; look again soon.
    options = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 250)]
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
    """Return when a GET is answered with success; HTTP has no way to wait for that but asking."""
    async with httpx.AsyncClient(timeout=_ANSWER_TIMEOUT_S, trust_env=False) as client:
        while True:
            try:
                answer = await client.get(url)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.is_success:
                return
            await asyncio.sleep(_RETRY_S)
