"""What is under fire: all processes of `parley up`, with a digital human on air."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

import grpc
import httpx

from bench.chaos.cluster import Cluster, running_cluster
from parley.plan.listeners import AVATAR, ENGINE, ENGINE_DRIVE, GATEWAY, SPEECH, TASK

API = "/api/digital-human"
STREAM = "fuzz"
ON_AIR = "STREAMING"
WATCHED_S = 0.5

_SETTINGS = {
    # Tasks of the inputs themselves are few: each of them is rendered.
    "ENGINE_MAX_TASKS": "6",
    "TASK_MAX_RUNNING": "4",
    "GATEWAY_REQUESTS_PER_SECOND": "10000",
}


@dataclass(slots=True, kw_only=True)
class Target:
    """Addresses as host:port, credentials, and the task that is on air at the moment."""

    cluster: Cluster
    gateway: str
    engine: str
    drives: str
    services: dict[str, str]
    channels: dict[str, grpc.aio.Channel]
    api_key: str
    service_token: str
    app_id: str
    server_secret: str
    callback_secret: str
    http: httpx.AsyncClient
    task_id: str = field(default="")

    async def hold_on_air(self) -> None:
        """Keep one task on air, whatever the inputs do to it; runs until cancelled."""
        while True:
            with suppress(httpx.HTTPError):
                await self.ensure_on_air()
            await asyncio.sleep(WATCHED_S)

    async def ensure_on_air(self) -> None:
        """Begin a task if there is none on air; where inputs have begun others, those end first."""
        if not await self._is_on_air():
            await self._begin()

    async def _is_on_air(self) -> bool:
        if not self.task_id:
            return False
        answer = await self.http.get(f"{API}/tasks/{self.task_id}")
        return answer.status_code == 200 and answer.json()["state"] == ON_AIR

    async def _begin(self) -> None:
        body = {"roomId": "fuzz", "streamId": STREAM, "lang": "en", "greeting": ""}
        answer = await self.http.post(f"{API}/create-task", json=body)
        if answer.status_code == 200:
            self.task_id = answer.json()["taskId"]
            return
        # What inputs have started is in the way.
        listed = await self.http.get(f"{API}/tasks", params={"pageSize": 50})
        for task in listed.json().get("tasks", ()):
            await self.http.post(f"{API}/stop-task", json={"taskId": task["taskId"]})


@asynccontextmanager
async def under_fire(seed: int) -> AsyncIterator[Target]:
    """Run everything until the block is left."""
    api_key = secrets.token_hex(16)
    settings = _SETTINGS | {"GATEWAY_API_KEYS": api_key}
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        cluster = await enter(running_cluster(replicas=1, settings=settings, seed=seed))
        own = cluster.environment
        services = {each.process: each.address(own) for each in (TASK, SPEECH, AVATAR)}
        target = Target(
            cluster=cluster,
            gateway=GATEWAY.address(own),
            engine=ENGINE.address(own),
            drives=ENGINE_DRIVE.address(own),
            services=services,
            channels={
                name: await enter(grpc.aio.insecure_channel(address))
                for name, address in services.items()
            },
            api_key=api_key,
            service_token=own["PARLEY_SERVICE_TOKEN"],
            app_id=own["ENGINE_APP_ID"],
            server_secret=own["ENGINE_SERVER_SECRET"],
            callback_secret=own["CALLBACK_SECRET"],
            http=await enter(
                httpx.AsyncClient(
                    base_url=f"http://{GATEWAY.address(own)}",
                    headers={"X-Api-Key": api_key},
                    timeout=30,
                    trust_env=False,
                )
            ),
        )
        async with asyncio.timeout(60):
            while not target.task_id:
                await target.ensure_on_air()
        holding = asyncio.create_task(target.hold_on_air())
        stack.callback(holding.cancel)
        yield target
