"""Calls between our processes take no proxy, whatever the environment says."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from parley.gateway_client.answers import GatewayError
from parley.gateway_client.connection import gateway_at
from parley.readiness import until_answering, until_serving
from services.runtime.channels.channel import connected
from services.runtime.serving.server import ServingOptions, serving
from tests.support.forward_proxy import ForwardProxy, forward_proxy

EVERY_PROXY = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")


@pytest.fixture
async def proxy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ForwardProxy]:
    """A proxy that leads nowhere, and that all variables name."""
    async with forward_proxy() as refusing:
        for name in EVERY_PROXY:
            monkeypatch.setenv(name, refusing.url)
            monkeypatch.setenv(name.upper(), refusing.url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        yield refusing


async def check(channel: grpc.aio.Channel) -> int:
    answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    status: int = answer.status
    return status


async def test_services_are_called_directly(proxy: ForwardProxy) -> None:
    async with (
        serving(ServingOptions(host="127.0.0.1", port=0), []) as up,
        connected(up.address) as channel,
    ):
        assert await check(channel) == health_pb2.HealthCheckResponse.SERVING
        async with asyncio.timeout(30):
            await until_serving(up.address)
    assert proxy.asked == []


async def test_a_service_may_listen_on_the_other_loopback() -> None:
    async with (
        serving(ServingOptions(host="::1", port=0), []) as up,
        connected(up.address) as channel,
    ):
        assert await check(channel) == health_pb2.HealthCheckResponse.SERVING


async def test_a_gateway_here_is_called_directly(proxy: ForwardProxy) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 31\r\nConnection: close\r\n\r\n")
        writer.write(b'{"tasks":[],"nextPageToken":""}')
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with asyncio.timeout(30):
            await until_answering(url)
        async with gateway_at(url, None) as gateway:
            assert await gateway.list_tasks() == []
    assert proxy.asked == []


async def test_a_gateway_elsewhere_is_called_through_it(proxy: ForwardProxy) -> None:
    async with gateway_at("http://parley.example", None) as gateway:
        with pytest.raises(GatewayError):
            await gateway.list_tasks()
    assert proxy.asked == ["GET http://parley.example/api/digital-human/tasks HTTP/1.1"]


async def test_a_proxy_that_cannot_lead_to_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:9")
    with pytest.raises(GatewayError, match="HTTP_PROXY: proxies of this kind"):
        async with gateway_at("http://parley.example", None):
            pass
