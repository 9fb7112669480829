"""The processes of `parley up` on this machine, each of which can be killed, paused and restarted.

Speech runs on timed providers and all else is as shipped: the engine has its API, its drive sockets
and its callbacks, and journal and record are real.
"""

import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import httpx

from bench.chaos.lossy_proxy import FAITHFUL, LossyProxy, lossy_proxy
from bench.conversation.stack import ROOT, SYSTEM_VARIABLES
from parley.plan.environment import complete
from parley.plan.listeners import ENGINE, GATEWAY, LISTENERS, is_free
from parley.plan.processes import Process, processes
from parley.processes.running import Running, running
from parley.readiness import until_ready
from services.avatar.vendor.signature import Credentials, signed_query

LIST = "QueryDigitalHumanStreamTasks"
START_S = 90.0
_LAST_LINES = 30
_FAULTY = ("unexpectedly", "Traceback", "exception was never retrieved", "Segmentation fault")
_FAULT_LINES = 40
_MOST_FAULT_LINES = 400
STOP_S = 20.0
TAIL_LINES = 400
SWEEP_S = 2.0
SETTLE_S = 20.0
RECONCILED_S = SWEEP_S + SETTLE_S
"""After this long nothing may be left that an answer or a process lost."""

_SETTINGS = {
    "ENGINE_MAX_TASKS": "500",
    # A loaded machine is no reason to refuse tasks here.
    "ENGINE_MAX_LATE_SHARE": "1",
    "TASK_MAX_RUNNING": "500",
    "TASK_SWEEP_INTERVAL_S": f"{SWEEP_S:.0f}",
    "TASK_SETTLE_S": f"{SETTLE_S:.0f}",
    "TASK_START_TIMEOUT_S": "20",
    "GATEWAY_REQUESTS_PER_SECOND": "10000",
    "PARLEY_LOG_FORMAT": "json",
}
_FRONT = "front"
_AGAIN_S = 0.5
LIGHT_SPEECH = {"speech": "bench.conversation.speech"}
UNFAITHFUL = {**LIGHT_SPEECH, "task": "bench.chaos.unfaithful_task"}
"""Modules that run in place of a service's own."""
_PORTS = range(10_000, 31_000)


class Server(Protocol):
    """A database server that can be killed."""

    @property
    def pid(self) -> int:
        """Its process."""

    async def start(self) -> None:
        """Start it, and return when it takes connections."""

    async def kill(self) -> None:
        """End it as a crash does."""


class NotReadyError(Exception):
    """A process has not become ready; the message has its last lines."""

    def __init__(self, name: str, lines: Sequence[str]) -> None:
        super().__init__("\n".join((f"{name} is not ready after {START_S:.0f} s:", *lines)))


@dataclass(slots=True, kw_only=True)
class Member:
    """A process of the cluster, whether or not it runs."""

    process: Process
    life: AsyncExitStack = field(default_factory=AsyncExitStack)
    running: Running | None = None


class Cluster:
    """All processes by name."""

    def __init__(
        self,
        planned: Sequence[Process],
        environment: Mapping[str, str],
        *,
        cloud: LossyProxy,
        http: httpx.AsyncClient,
        server: Server | None,
    ) -> None:
        self._members = {each.name: Member(process=each) for each in planned}
        self.cloud = cloud
        self.environment = environment
        self._http = http
        self._server = server
        self.logs: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=TAIL_LINES))
        self.faults: list[str] = []
        """The lines about errors that nobody expected, the first of them with what follows."""
        self._following: dict[str, int] = defaultdict(int)

    @property
    def names(self) -> list[str]:
        """The processes that may be killed."""
        own = [name for name in self._members if name != _FRONT]
        return [*own, "postgres"] if self._server else own

    @property
    def replicas(self) -> list[str]:
        """The processes that have others like them."""
        return [name for name, each in self._members.items() if each.process.is_replica]

    @property
    def url(self) -> str:
        """Where a user finds a gateway that is ready."""
        return f"http://{GATEWAY.address(self.environment)}"

    @property
    def gateways(self) -> list[str]:
        """Addresses of the gateways."""
        return [f"http://{each}" for each in self._addresses("gateway")]

    @property
    def task_targets(self) -> list[str]:
        """Addresses of the task services."""
        return list(self._addresses("task"))

    @property
    def token(self) -> str:
        """What the services ask each other for."""
        return self.environment["PARLEY_SERVICE_TOKEN"]

    def pid(self, name: str) -> int | None:
        """The process, if it runs."""
        if name == "postgres" and self._server:
            return self._server.pid
        running_now = self._members[name].running
        return running_now.pid if running_now and running_now.exit_code is None else None

    async def start(self, name: str) -> None:
        """Start a process, and return when it is ready."""
        await self.launch(name)
        await self.until_ready(name)

    async def launch(self, name: str) -> None:
        """Start a process; it is not ready yet."""
        if name == "postgres" and self._server:
            await self._server.start()
            return
        member = self._members[name]
        member.running = await member.life.enter_async_context(
            running(member.process, on_line=self._keep, grace_s=STOP_S)
        )

    async def until_ready(self, name: str) -> None:
        """Return when a process is ready; one that ends instead is launched again.

        So does an orchestrator, where a process finds its database away. Raises NotReadyError.
        """
        if name not in self._members:
            return
        try:
            async with asyncio.timeout(START_S):
                await self._until_ready(name)
        except TimeoutError:
            raise NotReadyError(name, list(self.logs[name])[-_LAST_LINES:]) from None

    async def _until_ready(self, name: str) -> None:
        member = self._members[name]
        process = member.process
        ready = asyncio.create_task(until_ready(process.listeners[0], process.environment))
        try:
            while not ready.done():
                assert member.running is not None
                ended = asyncio.create_task(member.running.wait())
                await asyncio.wait({ready, ended}, return_when=asyncio.FIRST_COMPLETED)
                ended.cancel()
                if not ready.done():
                    await member.life.aclose()
                    await asyncio.sleep(_AGAIN_S)
                    await self.launch(name)
            await ready
        finally:
            ready.cancel()

    async def kill(self, name: str) -> None:
        """End a process as a crash does, whatever it is doing."""
        if name == "postgres" and self._server:
            await self._server.kill()
            return
        member = self._members[name]
        if member.running is not None:
            ended, member.running = member.running, None
            # One that has just been launched may have ended, its database being away.
            with suppress(ProcessLookupError):
                os.kill(ended.pid, signal.SIGKILL)
            await ended.wait()
            await member.life.aclose()

    async def stop(self, name: str) -> int:
        """End a process as an operator does; returns its exit code."""
        member = self._members[name]
        assert member.running is not None
        ended, member.running = member.running, None
        await member.life.aclose()
        assert ended.exit_code is not None
        return ended.exit_code

    @asynccontextmanager
    async def replaced(self, name: str, module: str) -> AsyncIterator[None]:
        """Run another module in place of a process until the block is left."""
        own = self._members[name].process
        await self._restart_as(name, _running(own, module))
        try:
            yield
        finally:
            await self._restart_as(name, own)

    async def pause(self, name: str, seconds: float) -> None:
        """Have a process do nothing for a while, as on a machine that stands still."""
        pid = self.pid(name)
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            # It may have been killed meanwhile.
            if self.pid(name) == pid:
                os.kill(pid, signal.SIGCONT)

    async def on_air(self) -> list[dict[str, Any]]:
        """Return what the engine runs; raises httpx.HTTPError while it is away."""
        credentials = Credentials(
            app_id=int(self.environment["ENGINE_APP_ID"]),
            server_secret=self.environment["ENGINE_SERVER_SECRET"],
        )
        query = signed_query(credentials, action=LIST, timestamp=int(time.time()))
        url = f"http://{ENGINE.address(self.environment)}/"
        answer = await self._http.post(url, params=query, json={})
        tasks: list[dict[str, Any]] = answer.raise_for_status().json()["Data"]["TaskList"]
        return tasks

    def ended(self) -> list[str]:
        """Return the processes that have ended by themselves, and how."""
        return [
            f"{name} ended by itself with exit code {member.running.exit_code}"
            for name, member in self._members.items()
            if member.running is not None and member.running.exit_code is not None
        ]

    async def until_one_ended(self) -> None:
        """Return when a process has ended by itself."""
        ends = [
            asyncio.create_task(member.running.wait())
            for member in self._members.values()
            if member.running is not None
        ]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in ends:
                each.cancel()

    async def close(self) -> None:
        """Stop all that runs, last started first."""
        for name in reversed(self._members):
            if self._members[name].running is not None:
                await self.stop(name)

    async def _restart_as(self, name: str, process: Process) -> None:
        await self.stop(name)
        self._members[name].process = process
        await self.start(name)

    def _addresses(self, service: str) -> Iterator[str]:
        for member in self._members.values():
            process = member.process
            if process.name.partition("-")[0] == service:
                yield process.listeners[0].address(process.environment)

    def _keep(self, name: str, line: str) -> None:
        self.logs[name].append(line)
        if any(word in line for word in _FAULTY):
            self._following[name] = _FAULT_LINES
        if self._following[name] and len(self.faults) < _MOST_FAULT_LINES:
            self._following[name] -= 1
            self.faults.append(f"{name}: {line}")


@asynccontextmanager
async def running_cluster(
    *,
    replicas: int,
    database: str | None = None,
    server: Server | None = None,
    modules: Mapping[str, str] = LIGHT_SPEECH,
    settings: Mapping[str, str] | None = None,
    seed: int = 0,
) -> AsyncIterator[Cluster]:
    """Run everything until the block is left, on SQLite or a database of PostgreSQL.

    A `server` may be killed like the processes; `settings` are more of them.
    """
    async with AsyncExitStack() as life:
        folder = Path(life.enter_context(tempfile.TemporaryDirectory()))
        chosen = _system() | _SETTINGS | dict(settings or {}) | free_ports(replicas)
        engine = ENGINE.address(chosen)
        cloud = await life.enter_async_context(
            lossy_proxy(engine, losses=FAITHFUL, rng=random.Random(f"calls {seed}"))
        )
        chosen["AVATAR_ENGINE_URL"] = f"http://{cloud.address}"
        chosen |= _databases(database, folder, replicas)
        environment = complete(chosen, folder=folder, replicas=replicas)
        planned = [_replaced(each, modules) for each in processes(environment, replicas=replicas)]
        http = await life.enter_async_context(httpx.AsyncClient(timeout=5, trust_env=False))
        cluster = Cluster(planned, environment, cloud=cloud, http=http, server=server)
        life.push_async_callback(cluster.close)
        # The front is ready when a gateway is.
        for each in sorted(planned, key=lambda each: each.name == _FRONT):
            await cluster.start(each.name)
        yield cluster


def _databases(database: str | None, folder: Path, replicas: int) -> dict[str, str]:
    if database is None:
        return {"TASK_DATABASE": str(folder / "tasks.sqlite3")}
    return {"TASK_DATABASE": database} | ({"AVATAR_DATABASE": database} if replicas > 1 else {})


def _replaced(process: Process, modules: Mapping[str, str]) -> Process:
    module = modules.get(process.name.partition("-")[0])
    return _running(process, module) if module else process


def _running(process: Process, module: str) -> Process:
    return replace(process, words=(sys.executable, "-m", module))


def _system() -> dict[str, str]:
    kept = {name: os.environ[name] for name in SYSTEM_VARIABLES if name in os.environ}
    path = os.pathsep.join([str(ROOT), str(ROOT / "gen")])
    return kept | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def free_ports(replicas: int) -> dict[str, str]:
    """Return settings with which all processes find their ports free, as far as one can know."""
    while True:
        first = random.choice(_PORTS)
        settings = {each.variables[-1]: str(first + index) for index, each in enumerate(LISTENERS)}
        wanted = [
            listener.port(each.environment)
            for each in processes(settings | {"PYTHONPATH": ""}, replicas=replicas)
            for listener in each.listeners
        ]
        if all(is_free("127.0.0.1", port) for port in wanted):
            return settings
