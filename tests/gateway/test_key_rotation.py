"""An API key is replaced, gateway by gateway, while calls are made: none fails."""

import asyncio
from contextlib import AsyncExitStack

import httpx
import pytest

from tests.support.gateway_rig import RunningGateway, running_gateway

pytestmark = pytest.mark.timeout(60)

OLD, NEW = "an-older-api-key-of-ours", "a-newer-api-key-of-ours"
CALLERS = 4


class Clients:
    """Call the gateway that a balancer would choose, with the key that they have."""

    def __init__(self, gateway: RunningGateway, key: str) -> None:
        self.gateway = gateway
        self.key = key
        self.statuses: list[int] = []
        self._answered = asyncio.Condition()

    async def call(self) -> None:
        async with httpx.AsyncClient(timeout=30) as client:
            while True:
                headers = {"x-api-key": self.key}
                url = f"{self.gateway.url}/api/digital-human/tasks"
                self.statuses.append((await client.get(url, headers=headers)).status_code)
                async with self._answered:
                    self._answered.notify_all()

    async def go_on(self) -> None:
        """Return when each has been answered a call that it began after this one."""
        goal = len(self.statuses) + 10 * CALLERS
        async with self._answered:
            await self._answered.wait_for(lambda: len(self.statuses) >= goal)


async def test_no_call_fails_while_an_api_key_is_replaced() -> None:
    async with AsyncExitStack() as life, asyncio.TaskGroup() as group:

        async def start(*keys: str) -> tuple[RunningGateway, AsyncExitStack]:
            own = await life.enter_async_context(AsyncExitStack())
            gateway = running_gateway(keys=keys, requests_per_second=10_000)
            return await own.enter_async_context(gateway), own

        gateway, running = await start(OLD)
        clients = Clients(gateway, OLD)
        callers = [group.create_task(clients.call()) for _ in range(CALLERS)]
        for keys, key in (((OLD, NEW), OLD), ((OLD, NEW), NEW), ((NEW,), NEW)):
            clients.key = key
            await clients.go_on()
            clients.gateway, started = await start(*keys)
            # A balancer sends nothing more to a gateway before it ends.
            await clients.go_on()
            await running.aclose()
            running = started
        async with httpx.AsyncClient(timeout=30) as client:
            refused = await client.get(
                f"{clients.gateway.url}/api/digital-human/tasks", headers={"x-api-key": OLD}
            )
        for each in callers:
            each.cancel()
    assert set(clients.statuses) == {200}
    assert refused.status_code == 401
