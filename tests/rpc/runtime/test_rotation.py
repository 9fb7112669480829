"""Certificates and tokens are replaced while calls are made: none fails."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1 import task_pb2_grpc as rpc
from services.runtime.callers.requests import outgoing_metadata
from services.runtime.channels.channel import connected
from services.runtime.channels.replicas import Replicas, replicas
from services.runtime.security.identities import Identity
from services.runtime.security.tls import PeerTls, Tls, TlsError, TlsFiles
from services.runtime.serving.server import ServingOptions, serving
from tests.support.authority import Authority, replace
from tests.support.compose import free_ports

pytestmark = pytest.mark.timeout(60)

TASK, GATEWAY = Identity.TASK, Identity.GATEWAY
OLD, NEW = "an-older-service-token", "a-newer-service-token"


class Tasks(rpc.TaskServiceServicer):
    """Remembers which certificate each call came with, and counts in streams on request."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self.steps: asyncio.Queue[None] = asyncio.Queue()

    def has_seen(self, files: TlsFiles) -> bool:
        """Whether a call came with the certificate of these files."""
        certificate = files.certificate.read_bytes().strip()
        return any(each.strip() == certificate for each in self.seen)

    async def GetTask(self, request: Any, context: Any) -> pb.GetTaskResponse:
        self.seen.update(context.auth_context().get("x509_pem_cert", ()))
        return pb.GetTaskResponse()

    async def WatchTask(self, request: Any, context: Any) -> AsyncIterator[pb.WatchTaskResponse]:
        sequence = 0
        while True:
            yield pb.WatchTaskResponse(snapshot=pb.TaskSnapshot(last_sequence=sequence))
            await self.steps.get()
            sequence += 1


class Load:
    """Calls without end; a call that fails ends the test."""

    def __init__(self, tasks: Replicas[rpc.TaskServiceStub], token: str | None = None) -> None:
        self.token = token
        self.answered = 0
        self._tasks = tasks

    async def call(self) -> None:
        while True:
            await self._tasks.any.GetTask(
                pb.GetTaskRequest(task_id="task"), metadata=outgoing_metadata(self.token)
            )
            self.answered += 1
            await asyncio.sleep(0)

    async def goes_on(self) -> None:
        """Return when calls that began after this one were answered."""
        seen = self.answered
        await until(lambda: self.answered > seen + 40)


@asynccontextmanager
async def load(
    tasks: Replicas[rpc.TaskServiceStub], token: str | None = None
) -> AsyncIterator[Load]:
    made = Load(tasks, token)
    async with asyncio.TaskGroup() as group:
        callers = [group.create_task(made.call()) for _ in range(4)]
        yield made
        for each in callers:
            each.cancel()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


@asynccontextmanager
async def served(tasks: Tasks, **options: Any) -> AsyncIterator[str]:
    chosen = ServingOptions(**{"host": "127.0.0.1", "port": 0, "drain_s": 0, **options})
    async with serving(
        chosen, [], lambda server: rpc.add_TaskServiceServicer_to_server(tasks, server)
    ) as up:
        yield up.address


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def test_no_call_fails_while_certificates_and_authorities_are_replaced(
    authority: Authority, tmp_path: Path
) -> None:
    (folder := tmp_path / "next").mkdir()
    following = Authority(folder)
    both = authority.pem + following.pem
    tasks = Tasks()
    own, server = authority.tls(GATEWAY), authority.tls(TASK)
    async with (
        served(tasks, tls=server) as address,
        # Two, so that calls go to all of them as with several replicas.
        served(tasks, tls=server) as other,
        replicas(
            f"{address},{other}", rpc.TaskServiceStub, tls=PeerTls(own=own, peer=TASK)
        ) as found,
        load(found) as calls,
    ):
        watch = found.any.WatchTask(pb.WatchTaskRequest(task_id="task"))
        assert isinstance(await watch.read(), pb.WatchTaskResponse)
        for issuer, trusted in (
            (authority, authority.pem),
            (authority, both),
            (following, both),
            (following, following.pem),
        ):
            for identity in (TASK, GATEWAY):
                issued = issuer.issue(identity.dns_name, trusted=trusted)
                if issuer is following:
                    # The processes read the files that they know.
                    for name in ("authorities", "key", "certificate"):
                        fresh = getattr(issued, name)
                        replace(tmp_path / fresh.name, fresh.read_bytes())
                await calls.goes_on()
            await until(partial(tasks.has_seen, issued))
            # The stream goes on where it began.
            tasks.steps.put_nowait(None)
            assert isinstance(await watch.read(), pb.WatchTaskResponse)
        watch.cancel()


async def test_files_that_do_not_fit_together_are_not_used(authority: Authority) -> None:
    tls = authority.tls(TASK)
    before = tls.current()
    files = authority.issue(TASK.dns_name)
    key, certificate = files.key.read_bytes(), files.certificate.read_bytes()
    stranger = authority.issue("gateway.example")
    with capture_logs() as logs:
        replace(files.key, b"not a key")
        assert tls.current() is before
        replace(files.key, stranger.key.read_bytes())
        assert tls.current() is before
        replace(files.certificate, stranger.certificate.read_bytes())
        assert tls.current() is before
        files.authorities.unlink()
        assert tls.current() is before
        replace(files.authorities, authority.pem)
        replace(files.key, key)
        replace(files.certificate, certificate)
        after = tls.current()
    assert after.certificate == certificate != before.certificate
    assert tls.current() is after
    assert [(each["event"], each.get("file")) for each in logs] == [
        ("new certificate not used", "key"),
        ("new certificate not used", "key"),
        ("new certificate not used", "certificate"),
        ("new certificate not used", "authorities"),
        ("certificate changed", None),
    ]


@pytest.mark.parametrize(
    ("part", "content", "rule"),
    [
        ("certificate", b"nothing", "certificates in PEM"),
        ("key", b"nothing", "a key in PEM"),
        ("authorities", b"", "certificates in PEM"),
    ],
)
def test_a_process_does_not_start_with_wrong_files(
    authority: Authority, part: str, content: bytes, rule: str
) -> None:
    files = authority.issue(TASK.dns_name)
    replace(getattr(files, part), content)
    with pytest.raises(TlsError, match=rule) as caught:
        Tls(files, TASK)
    assert caught.value.part == part


def test_a_process_does_not_start_with_the_certificate_of_another(authority: Authority) -> None:
    with pytest.raises(TlsError, match=r"speech\.parley\.internal"):
        Tls(authority.issue(TASK.dns_name), Identity.SPEECH)


async def test_a_channel_ends_with_its_old_connections(authority: Authority) -> None:
    tasks = Tasks()
    own = authority.tls(GATEWAY)
    async with served(tasks, tls=authority.tls(TASK)) as address:
        async with connected(address, tls=PeerTls(own=own, peer=TASK)) as channel:
            stub = rpc.TaskServiceStub(channel)
            watch = stub.WatchTask(pb.WatchTaskRequest(task_id="task"))
            await watch.read()
            authority.issue(GATEWAY.dns_name)
            await stub.GetTask(pb.GetTaskRequest(task_id="task"))
            await channel.channel_ready()
        with pytest.raises(asyncio.CancelledError):
            await watch.read()


async def test_no_call_fails_while_the_service_token_is_replaced() -> None:
    tasks = Tasks()
    async with AsyncExitStack() as life:

        async def serve(port: str, *tokens: str) -> AsyncExitStack:
            replica = await life.enter_async_context(AsyncExitStack())
            options = {"service_tokens": tokens, "port": int(port), "drain_s": 30}
            await replica.enter_async_context(served(tasks, **options))
            return replica

        # Nobody else is given them while a replica is away.
        running = {port: await serve(port, OLD) for port in free_ports(2)}
        targets = ",".join(f"127.0.0.1:{port}" for port in running)

        async def restart(*tokens: str) -> None:
            for port, replica in running.items():
                await replica.aclose()
                running[port] = await serve(port, *tokens)
                await calls.goes_on()

        found = await life.enter_async_context(replicas(targets, rpc.TaskServiceStub))
        async with load(found, OLD) as calls:
            await calls.goes_on()
            await restart(OLD, NEW)
            calls.token = NEW
            await restart(NEW, OLD)
            await restart(NEW)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await found.any.GetTask(
                pb.GetTaskRequest(task_id="task"), metadata=outgoing_metadata(OLD)
            )
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
