"""The gateway goes down while clients are served: each is told, and nothing fails unexpectedly."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from gateway.server.drain import Drain
from tests.support.gateway_rig import RunningGateway, Told, read_events, running_gateway

API = "/api/digital-human"
EVENTS = {"accept": "text/event-stream"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A gateway in the midst of a reply, and a client that outlives it."""

    gateway: RunningGateway
    client: httpx.AsyncClient
    task_id: str
    stack: AsyncExitStack

    @property
    def question(self) -> dict[str, str]:
        return {"taskId": self.task_id, "text": "When do you open?"}

    async def end(self) -> None:
        """End the gateway, and then the services behind it."""
        await self.stack.aclose()


@asynccontextmanager
async def replying(*, requests_s: float = 60.0) -> AsyncIterator[Call]:
    async with AsyncExitStack() as stack:
        drain = Drain(requests_s=requests_s)
        gateway = await stack.enter_async_context(running_gateway(drain=drain))
        task_id = await gateway.create()
        gateway.script.hold_reply = asyncio.Event()
        async with httpx.AsyncClient(base_url=gateway.url, timeout=30, trust_env=False) as client:
            yield Call(gateway=gateway, client=client, task_id=task_id, stack=stack)


async def rest(told: AsyncIterator[Told], ending: asyncio.Task[None]) -> list[Told]:
    async with asyncio.timeout(30):
        left = [each async for each in told]
        await ending
    return left


@pytest.mark.parametrize("kept", ["talk", "talk that leaving cuts", "watch"])
async def test_a_stream_ends_with_a_problem(kept: str, caplog: pytest.LogCaptureFixture) -> None:
    async with replying() as call:
        asked = call.question | ({"cutOnLeave": True} if "cuts" in kept else {})
        talk = call.client.stream("POST", f"{API}/talk-to-ai", json=asked, headers=EVENTS)
        watch = call.client.stream("GET", f"{API}/tasks/{call.task_id}/events")
        with caplog.at_level(logging.ERROR):
            async with watch if kept == "watch" else talk as response:
                told = read_events(response)
                await anext(told)
                ending = asyncio.create_task(call.end())
                last = (await rest(told, ending))[-1]
        assert last.name == "problem"
        assert (last.data["reason"], last.data["status"]) == ("DRAINING", 503)
        assert last.data["instance"] == response.url.path
        assert not caplog.records


async def test_a_request_that_takes_too_long_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async with replying(requests_s=0.05) as call:
        with caplog.at_level(logging.ERROR):
            asking = asyncio.create_task(call.client.post(f"{API}/talk-to-ai", json=call.question))
            await call.gateway.speech.replying.wait()
            await call.end()
            answer = await asking
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json()["reason"] == "DRAINING"
        assert not caplog.records


async def test_a_request_that_ends_in_time_is_answered() -> None:
    async with replying() as call:
        asking = asyncio.create_task(call.client.post(f"{API}/talk-to-ai", json=call.question))
        await call.gateway.speech.replying.wait()
        ending = asyncio.create_task(call.end())
        assert call.gateway.script.hold_reply
        call.gateway.script.hold_reply.set()
        assert (await asking).json()["success"]
        await ending


async def test_notice_is_given_while_everything_is_served() -> None:
    drain = Drain(notice_s=60)
    async with running_gateway(drain=drain) as gateway:
        task_id = await gateway.create()
        async with httpx.AsyncClient(base_url=gateway.url, timeout=30, trust_env=False) as client:
            before = await client.get("/readyz")
            giving = asyncio.create_task(drain.run())
            await asyncio.sleep(0)
            meanwhile = await client.get("/readyz")
            asked = {"taskId": task_id, "text": "When do you open?"}
            answer = await client.post(f"{API}/talk-to-ai", json=asked)
        giving.cancel()
        drain.notice_s = 0
    assert before.is_success
    assert "connection" not in before.headers
    assert (meanwhile.status_code, meanwhile.json()["reason"]) == (503, "DRAINING")
    assert answer.json()["success"]
    # Or a client would send its next request into the closing connection.
    assert meanwhile.headers["connection"] == answer.headers["connection"] == "close"
