"""Clients of the running stack, which all tests of this folder share."""

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from anyio.from_thread import BlockingPortal

from services.runtime.callers.requests import Metadata
from tests.support.collector import Collector
from tests.support.stack import Stack
from tests.support.whole_stack import whole_stack

API = "/api/digital-human"


@pytest.fixture(scope="package")
def stack(
    portal: BlockingPortal,
    collector: Collector,
    personas: Path,
    journal: dict[str, str],
    pytestconfig: pytest.Config,
) -> Iterator[Stack]:
    """The processes, shared by all tests of this folder."""
    running = whole_stack(
        collector=collector,
        personas=personas,
        journal=journal,
        is_unfaithful=pytestconfig.getoption("unfaithful"),
    )
    with portal.wrap_async_context_manager(running) as started:
        yield started


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
