"""The processes of a conversation, each with its real servers, in front of a recording cloud."""

import asyncio
import json
import os
import socket
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from bench.conversation.cloud import DRIVE_PORT, PORT, RECORDS_PATH
from bench.conversation.speech import EARS, VENDORS
from bench.conversation.vendors import PORT as VENDORS_PORT
from bench.conversation.vendors import RECORDS_PATH as VENDORS_RECORDS_PATH
from parley.processes.running import Command, Running, running
from parley.readiness import until_answering, until_serving

ROOT = Path(__file__).parents[2]
SYSTEM_VARIABLES = ("HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "TMPDIR")
START_S = 60.0
STOP_S = 15.0
MEASURED = ("gateway", "speech", "avatar", "task")
MEDIA = ("gateway", "speech", "avatar")
"""The services whose work grows with the audio; the task service only keeps the record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How the processes run."""

    cores: Collection[int] = ()
    """The cores of the services, none meaning all; the load and the cloud get the others."""
    ears: str = "timed"
    has_vendors: bool = False
    """Whether the service's adapters call scripted vendors, instead of timed fakes."""
    profile: str = ""
    """A process to profile, into a file of its name in the working directory."""


@dataclass(slots=True, kw_only=True)
class Stack:
    """Processes that are up."""

    gateway_url: str
    speech_target: str
    cloud_url: str
    vendors_url: str
    http: httpx.AsyncClient
    processes: dict[str, psutil.Process]
    logs: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def cpu_s(self) -> dict[str, float]:
        """Return the CPU seconds that each service has used."""
        used = {}
        for name in MEASURED:
            times = self.processes[name].cpu_times()
            used[name] = float(times.user + times.system)
        return used

    def rss_kb(self) -> dict[str, float]:
        """Return the memory of each service."""
        return {name: self.processes[name].memory_info().rss / 1000 for name in MEASURED}

    def held(self) -> dict[str, dict[str, float]]:
        """Return the system resources that each service holds."""
        return {
            name: {
                "rss_kb": round(memory),
                "files": self.processes[name].num_fds(),
                "threads": self.processes[name].num_threads(),
            }
            for name, memory in self.rss_kb().items()
        }

    async def create_task(self, stream_id: str) -> str:
        """Put a digital human on air and return the task's id."""
        response = await self.http.post(
            f"{self.gateway_url}/api/digital-human/create-task",
            json={"roomId": "bench", "streamId": stream_id, "lang": "en", "greeting": ""},
        )
        response.raise_for_status()
        return str(response.json()["taskId"])

    async def records(self) -> dict[str, Any]:
        """Return what has arrived at the cloud since the last call."""
        response = await self.http.get(f"{self.cloud_url}{RECORDS_PATH}")
        response.raise_for_status()
        records: dict[str, Any] = response.json()
        return records

    async def vendor_records(self) -> dict[str, Any]:
        """Return the vendors' addresses, and what they recorded since the last call."""
        response = await self.http.get(f"{self.vendors_url}{VENDORS_RECORDS_PATH}")
        response.raise_for_status()
        records: dict[str, Any] = response.json()
        return records


@asynccontextmanager
async def running_stack(shape: Shape) -> AsyncIterator[Stack]:
    """Run all processes until the block is left."""
    names = ("gateway", "speech", "avatar", "task", "cloud", "drive", "vendors")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    targets = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    async with AsyncExitStack() as life:
        enter = life.enter_async_context
        folder = life.enter_context(tempfile.TemporaryDirectory())
        stack = Stack(
            gateway_url=f"http://{targets['gateway']}",
            speech_target=targets["speech"],
            cloud_url=f"http://{targets['cloud']}",
            vendors_url=f"http://{targets['vendors']}" if shape.has_vendors else "",
            http=await enter(httpx.AsyncClient(timeout=60)),
            processes={},
        )

        async def start(name: str, module: str, variables: Mapping[str, str]) -> None:
            cores = shape.cores if name not in ("cloud", "vendors") else _others(shape.cores)
            words = [sys.executable, "-m", module]
            if name == shape.profile:
                words = [sys.executable, "-m", "bench.conversation.profile", name, module]
            command = Command(
                name=name, words=tuple(words), environment=system_environment() | dict(variables)
            )
            with _bound_to(cores):
                process = await enter(running(command, on_line=keep, grace_s=STOP_S))
            stack.processes[name] = psutil.Process(process.pid)
            await _until_ready(process, targets[name], stack)

        def keep(name: str, line: str) -> None:
            stack.logs[name].append(line)

        await start(
            "cloud",
            "bench.conversation.cloud",
            {PORT: str(ports["cloud"]), DRIVE_PORT: str(ports["drive"])},
        )
        await start(
            "avatar",
            "services.avatar",
            {
                "AVATAR_PORT": str(ports["avatar"]),
                "AVATAR_CLOUD_URL": stack.cloud_url,
                "ENGINE_APP_ID": "1",
                "ENGINE_SERVER_SECRET": "0" * 32,
                "DIGITAL_HUMAN_ID": "bench",
            },
        )
        await start(
            "task",
            "services.task",
            {
                "TASK_PORT": str(ports["task"]),
                "TASK_AVATAR_TARGET": targets["avatar"],
                "TASK_DATABASE": f"{folder}/tasks.sqlite3",
                "TASK_MAX_RUNNING": "1000",
                "TASK_LONGEST_DURATION_S": "86400",
                "TASK_MAX_DURATION_S": "86400",
                "TASK_MAX_IDLE_DURATION_S": "86400",
            },
        )
        vendors: dict[str, str] = {}
        if shape.has_vendors:
            module = "bench.conversation.vendors"
            await start("vendors", module, {VENDORS_PORT: str(ports["vendors"])})
            vendors[VENDORS] = json.dumps(await stack.vendor_records())
        await start(
            "speech",
            "bench.conversation.speech",
            {
                "SPEECH_PORT": str(ports["speech"]),
                "SPEECH_TASK_TARGET": targets["task"],
                "SPEECH_AVATAR_TARGET": targets["avatar"],
                EARS: shape.ears,
                **vendors,
            },
        )
        await start(
            "gateway",
            "gateway",
            {
                "GATEWAY_PORT": str(ports["gateway"]),
                "GATEWAY_TASK_TARGET": targets["task"],
                "GATEWAY_SPEECH_TARGET": targets["speech"],
                "GATEWAY_AVATAR_TARGET": targets["avatar"],
                "GATEWAY_REQUESTS_PER_SECOND": "10000",
            },
        )
        with _bound_to(_others(shape.cores)):
            yield stack


async def _until_ready(process: Running, target: str, stack: Stack) -> None:
    match process.name:
        case "gateway":
            waiting = until_answering(f"http://{target}/livez")
        case "cloud":
            waiting = until_answering(f"http://{target}{RECORDS_PATH}")
        case "vendors":
            waiting = until_answering(f"http://{target}{VENDORS_RECORDS_PATH}")
        case _:
            waiting = until_serving(target)
    ready = asyncio.ensure_future(waiting)
    ended = asyncio.ensure_future(process.wait())
    try:
        await asyncio.wait({ready, ended}, timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            raise RuntimeError(f"{process.name} did not start: {stack.logs[process.name][-20:]}")
    finally:
        for each in (ready, ended):
            each.cancel()
        await asyncio.gather(ready, ended, return_exceptions=True)


def system_environment() -> dict[str, str]:
    """Return what every process of this machine needs."""
    kept = {name: os.environ[name] for name in SYSTEM_VARIABLES if name in os.environ}
    return kept | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "gen")]),
        "PYTHONUNBUFFERED": "1",
    }


def _others(cores: Collection[int]) -> set[int]:
    return (os.sched_getaffinity(0) - set(cores)) or set(cores)


@contextmanager
def _bound_to(cores: Collection[int]) -> Iterator[None]:
    """Run this process, and what it starts, only on these cores; none means all."""
    before = os.sched_getaffinity(0)
    if not cores:
        yield
        return
    os.sched_setaffinity(0, set(cores))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports
