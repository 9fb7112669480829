"""Clients of the running stack."""

import secrets
from collections.abc import AsyncIterator

import grpc
import httpx
import pytest

from services.runtime.callers.requests import Metadata
from tests.support.stack import Stack

API = "/api/digital-human"


@pytest.fixture
async def http(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the gateway that has a key."""
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    async with httpx.AsyncClient(
        base_url=stack.gateway_url, headers=headers, timeout=170, trust_env=False
    ) as client:
        yield client


@pytest.fixture
async def engine(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the engine's debug routes; faults that a test switches on end with it."""
    async with stack.engine_client() as client:
        yield client
        (await client.delete("/faults")).raise_for_status()


@pytest.fixture
async def task_channel(stack: Stack) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to the task service."""
    async with stack.channel("task") as channel:
        yield channel


@pytest.fixture
async def speech_channel(stack: Stack) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to the speech service."""
    async with stack.channel("speech") as channel:
        yield channel


@pytest.fixture
async def avatar_channel(stack: Stack) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to the avatar service."""
    async with stack.channel("avatar") as channel:
        yield channel


@pytest.fixture
def token(stack: Stack) -> Metadata:
    """What a call to a service shows."""
    return (("authorization", f"Bearer {stack.service_token}"),)


@pytest.fixture
def names() -> dict[str, str]:
    """A room and a stream that no other test has."""
    name = secrets.token_hex(8)
    return {"roomId": f"room-{name}", "streamId": f"stream-{name}", "greeting": ""}


@pytest.fixture
async def task_id(http: httpx.AsyncClient, names: dict[str, str]) -> AsyncIterator[str]:
    """A task on air, that is stopped when the test ends."""
    created = await http.post(f"{API}/create-task", json=names)
    assert created.status_code == 200, created.text
    found = str(created.json()["taskId"])
    yield found
    stopped = await http.post(f"{API}/stop-task", json={"taskId": found})
    assert stopped.status_code == 200, stopped.text
