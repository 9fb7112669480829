"""The engine in its own process, and the part of its API that measuring needs."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aioice.ice
import httpx
import psutil

from engine.app import Engine
from tests.support.engine_cloud import Cloud, Receiver

ROOT = Path(__file__).parents[2]
SPEECH = ROOT / "tests" / "data" / "speech"
APP_ID = 1
SECRET = "0" * 32
START_S = 30.0
ON_AIR = 3


class MeasuredEngine(Cloud):
    """A client of the engine that knows its process."""

    def __init__(self, engine: Engine, http: httpx.AsyncClient, process: psutil.Process) -> None:
        super().__init__(engine, http, Receiver())
        self._process = process

    def cpu_s(self) -> float:
        """Return the CPU seconds that it has used so far."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def rss_mib(self) -> float:
        """Return its memory."""
        return float(self._process.memory_info().rss / 2**20)

    async def health(self) -> dict[str, Any]:
        """Return its own counts."""
        health: dict[str, Any] = (await self.http.get("/healthz")).json()
        return health

    async def open_task(self, stream_id: str) -> str:
        """Put a task on air and return its id."""
        task_id = await self.create(stream_id)
        status = 0
        while status != ON_AIR:
            shown = await self.data("GetDigitalHumanStreamTaskStatus", TaskId=task_id)
            status = shown["Status"]
            await asyncio.sleep(0.2)
        return task_id


@asynccontextmanager
async def running_engine() -> AsyncIterator[MeasuredEngine]:
    """Start an engine, wait until it answers, and stop it at the end."""
    port, drive_port = _free_port(), _free_port()
    # The viewers of this process are on the same machine.
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "engine",
        cwd=ROOT,
        env={
            "ENGINE_APP_ID": str(APP_ID),
            "ENGINE_SERVER_SECRET": SECRET,
            "ENGINE_PORT": str(port),
            "ENGINE_DRIVE_PORT": str(drive_port),
            "ENGINE_INIT_DELAY_S": "0",
            "ENGINE_LOG_LEVEL": "warning",
            # This measures how late it gets, not how it refuses.
            "ENGINE_MAX_LATE_SHARE": "1",
        },
    )
    try:
        engine = Engine(
            base_url=f"http://127.0.0.1:{port}",
            drive_port=drive_port,
            app_id=APP_ID,
            server_secret=SECRET,
            health=dict,
        )
        async with httpx.AsyncClient(base_url=engine.base_url, timeout=20) as http:
            await _wait_until_ready(http)
            yield MeasuredEngine(engine, http, psutil.Process(process.pid))
    finally:
        process.terminate()
        await process.wait()


async def _wait_until_ready(http: httpx.AsyncClient) -> None:
    async with asyncio.timeout(START_S):
        while True:
            try:
                await http.get("/healthz")
            except httpx.TransportError:
                await asyncio.sleep(0.1)
            else:
                return


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
