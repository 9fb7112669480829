"""All processes for a test, as docker-compose.yml runs them, and all that is said of them."""

import asyncio
import os
import random
import secrets
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import httpx

from bench.chaos import unfaithful_task
from bench.chaos.lossy_proxy import UNRELIABLE, lossy_proxy
from parley.certificates.issuing import issue
from parley.processes.running import Command, Running, running
from parley.readiness import until_target_ready
from services.runtime.channels.channel import connected
from services.runtime.security.identities import Identity
from services.runtime.security.tls import Tls, TlsFiles, peer_tls
from services.speech.embedded.library import LibrarySettings
from tests.support.compose import (
    ROOT,
    Composition,
    Service,
    issued_folders,
    localized,
    required_variables,
)
from tests.support.confinement import Confinement, confining

DEBUG_TOKEN = "debug-token-of-tests"
READY_TIMEOUT_S = 120.0
STOP_GRACE_S = 20.0
# Tests share the machine with each other. Its load is no reason to refuse tasks, and a model that
# computes in threads waits for the slowest of them at every step: one is faster than two where
# another process has a core.
SHARING = {
    "engine": {"ENGINE_MAX_LATE_SHARE": "1", "ENGINE_DEBUG_TOKEN": DEBUG_TOKEN},
    "speech": {"SPEECH_THREADS": "1"},
}
# What every process of this machine has; all else comes from the compose file.
SYSTEM_VARIABLES = ("HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "TMPDIR")


class Stack:
    """Running processes by the names of the compose file."""

    def __init__(
        self,
        composition: Composition,
        secrets_of: Mapping[str, str],
        confinement: Confinement,
        tls: Tls | None,
    ) -> None:
        self._services = {each.name: each for each in composition.services}
        self._hosts = composition.hosts
        self._ports = composition.ports
        self._confinement = confinement
        self._secrets = secrets_of
        self._tls = tls
        self._lives: dict[str, tuple[AsyncExitStack, Running]] = {}
        self.logs: dict[str, list[str]] = defaultdict(list)

    @property
    def gateway_url(self) -> str:
        """Address of the gateway."""
        return f"http://{self.target('gateway')}"

    @property
    def engine_url(self) -> str:
        """Address of the engine."""
        return f"http://{self.target('engine')}"

    def engine_client(self, *, timeout_s: float = 10.0) -> httpx.AsyncClient:
        """Return a client of the engine's faults and recordings."""
        return httpx.AsyncClient(
            base_url=self.engine_url,
            headers={"Authorization": f"Bearer {DEBUG_TOKEN}"},
            timeout=timeout_s,
            trust_env=False,
        )

    @property
    def api_key(self) -> str:
        """A key of the gateway."""
        return self._secrets["GATEWAY_API_KEYS"]

    @property
    def service_token(self) -> str:
        """The token that the services ask each other for."""
        return self._secrets["PARLEY_SERVICE_TOKEN"]

    def target(self, name: str) -> str:
        """Where a process listens, host:port."""
        return f"{self._hosts[name]}:{self._ports[f'{name.upper()}_PORT']}"

    @asynccontextmanager
    async def channel(self, name: str) -> AsyncIterator[grpc.aio.Channel]:
        """Open a channel of an operator's to a service."""
        async with connected(self.target(name), tls=peer_tls(self._tls, Identity(name))) as channel:
            yield channel

    def pid(self, name: str) -> int:
        """Process id of a process that runs."""
        return self._lives[name][1].pid

    def add(self, service: Service) -> None:
        """Have one more that can be started."""
        self._services[service.name] = service

    async def start(self, names: Collection[str]) -> None:
        """Start processes one after the other, each when the one before is ready, as compose does.

        Fails if one ends instead.
        """
        async with asyncio.timeout(READY_TIMEOUT_S):
            for name in names:
                service = self._services[name]
                life = AsyncExitStack()
                process = await life.enter_async_context(
                    running(self._command(service), on_line=self._keep, grace_s=STOP_GRACE_S)
                )
                self._lives[name] = (life, process)
                await self._until_ready(service, process)

    async def kill(self, name: str) -> None:
        """End a process as a crash does."""
        life, process = self._lives.pop(name)
        process.kill()
        await process.wait()
        await life.aclose()

    async def stop(self, name: str) -> int:
        """End a process as an operator does; returns its exit code."""
        life, process = self._lives.pop(name)
        await life.aclose()
        assert process.exit_code is not None
        return process.exit_code

    async def restart(self, name: str) -> None:
        """Stop a process if it runs, and start it again on the same port."""
        if name in self._lives:
            await self.stop(name)
        await self.start([name])

    async def close(self) -> dict[str, int]:
        """Stop all that runs, last started first; returns the exit codes."""
        return {name: await self.stop(name) for name in reversed(list(self._lives))}

    def tell(self, lines: int = 20) -> str:
        """The last lines of every process, for the report of a failure."""
        return "\n".join(
            f"--- {name} ---\n" + "\n".join(said[-lines:]) for name, said in self.logs.items()
        )

    def _command(self, service: Service) -> Command:
        system = {name: os.environ[name] for name in SYSTEM_VARIABLES if name in os.environ}
        # The code of this checkout, whether or not it is installed.
        system["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "gen")])
        system["PYTHONUNBUFFERED"] = "1"
        return Command(
            name=service.name,
            words=self._confinement.words(service.words),
            environment=system | dict(service.environment),
        )

    def _keep(self, name: str, line: str) -> None:
        self.logs[name].append(line)

    async def _until_ready(self, service: Service, process: Running) -> None:
        ready = asyncio.create_task(until_target_ready(service.probe, service.environment))
        ended = asyncio.create_task(process.wait())
        try:
            await asyncio.wait({ready, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not ready.done():
                raise AssertionError(f"{service.name} ended while it started:\n{self.tell()}")
        finally:
            for task in (ready, ended):
                task.cancel()
            await asyncio.gather(ready, ended, return_exceptions=True)


@asynccontextmanager
async def running_stack(
    *,
    env: Mapping[str, Mapping[str, str]] | None = None,
    processes: Collection[str] | None = None,
    variables: Mapping[str, str] | None = None,
    is_unfaithful: bool = False,
    has_tls: bool = True,
) -> AsyncIterator[Stack]:
    """Run the compose file's services here until the block is left.

    `env` adds to the environment of a process by its name; `processes` are those to start, all by
    default; `variables` stand in the file's `.env`, secrets being made for what it requires. With
    `is_unfaithful`, calls to the journal and to the cloud fail at random, some after their effect.
    Without `has_tls` the services speak plainly, to clients that have no certificates.
    Fails if a process that was not killed ends otherwise than with exit code 0, or if one tried to
    reach anything but this machine.
    """
    made = {name: secrets.token_hex(16) for name in required_variables()}
    # A machine that runs tests is busy with more than this stack.
    patience = {"SPEECH_CHAT_EMBEDDED_FIRST_BYTE_S": "120"}
    model = {"PARLEY_LLM": os.environ.get("PARLEY_LLM", "small")}
    given = model | patience | made | dict(variables or {})
    async with AsyncExitStack() as life:
        # /models/models is where the store keeps its files under /models.
        folders = {"models": LibrarySettings().cache} | {
            volume: Path(life.enter_context(TemporaryDirectory()))
            for volume in ("journal", "engine-certificate", "signatures")
        }
        certificates = Path(life.enter_context(TemporaryDirectory()))
        issue(certificates)
        composition = localized(given, folders | issued_folders(certificates))
        confinement = life.enter_context(confining(composition.hosts))
        more = env or {}
        services = tuple(
            each.having(SHARING.get(each.name, {}) | dict(more.get(each.name, {})))
            for each in composition.services
        )
        if is_unfaithful:
            engine = f"{composition.hosts['engine']}:{composition.ports['ENGINE_PORT']}"
            cloud = await life.enter_async_context(
                lossy_proxy(engine, losses=UNRELIABLE, rng=random.Random())
            )
            services = tuple(_unfaithful(each, cloud.address) for each in services)
        if not has_tls:
            services = tuple(map(_plain, services))
        stack = Stack(
            replace(composition, services=services),
            given,
            confinement,
            _operator(certificates) if has_tls else None,
        )
        try:
            await stack.start(processes or [each.name for each in services])
            yield stack
        finally:
            codes = await stack.close()
        bad = {name: code for name, code in codes.items() if code}
        assert not bad, f"processes ended badly: {bad}\n{stack.tell()}"
        assert not confinement.attempts


def _plain(service: Service) -> Service:
    environment = {
        name: value for name, value in service.environment.items() if "_TLS_" not in name
    }
    return replace(service, environment=environment)


def _operator(certificates: Path) -> Tls:
    own = certificates / Identity.OPERATOR.value
    files = TlsFiles(certificate=own / "tls.crt", key=own / "tls.key", authorities=own / "ca.crt")
    return Tls(files, Identity.OPERATOR)


def _unfaithful(service: Service, cloud: str) -> Service:
    """The service, with a journal and a way to the cloud that are not to be relied on."""
    match service.name:
        case "task":
            return replace(service, words=(sys.executable, "-m", unfaithful_task.__name__))
        case "avatar":
            return service.having({"AVATAR_ENGINE_URL": f"http://{cloud}"})
        case _:
            return service
