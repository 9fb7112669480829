"""One worker process as the front sees it: its calls, its reports, its end."""

import asyncio
import secrets
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, assert_never

import httpx
import structlog

from engine.authorities import authorities
from engine.clock import Clock
from engine.contract.codes import MESSAGES, Code, Refusal
from engine.contract.signature import sign_call
from engine.serving.certificate import Identity
from engine.settings import EngineSettings
from engine.tasks.callbacks import Notice
from engine.workers.reports import (
    LOOPBACK,
    MAX_LINE_BYTES,
    Event,
    Ready,
    Refused,
    WorkerHealth,
    read_report,
    write_settings,
)

START_S = 60.0
# A call may wait for a task to end, or for an SDP answer.
CALL_S = 15.0
MAX_CALLS = 64
# Three timeouts in a row: after the machine slept, the first says nothing about the worker.
SILENCE_S = 5.0
MAX_SILENCES = 3

log = structlog.get_logger()

OnNotice = Callable[["Worker", Notice], None]


class WorkerFailed(OSError):
    """A worker did not start serving; the message says why."""


class Worker:
    """A running worker: an ordinary engine on loopback."""

    def __init__(
        self,
        *,
        settings: EngineSettings,
        process: Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        client: httpx.AsyncClient,
        ready: Ready,
        clock: Clock,
    ) -> None:
        self.drive_port = ready.drive_port
        self.client = client
        self.is_lost = False
        self._settings = settings
        self._process = process
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._figures: Mapping[str, Any] = {}

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def health(self) -> Mapping[str, Any]:
        """The worker's latest figures."""
        return {"pid": self.pid, **self._figures}

    async def follow(self, on_notice: OnNotice) -> None:
        """Pass on the worker's reports until it ends or is silent for too long."""
        while line := await _read_line(self._reader):
            try:
                report = read_report(line)
            except ValueError:
                log.error("worker sent an invalid report", pid=self.pid)
                return
            match report:
                case Event() as event:
                    on_notice(self, event.notice)
                case WorkerHealth() as health:
                    self._figures = health.figures
                case Refused(reason=reason):
                    log.error("worker cannot go on", pid=self.pid, reason=reason)
                case Ready():
                    # It was the first, and comes once.
                    pass
                case unknown:
                    assert_never(unknown)

    def dismiss(self) -> None:
        """Ask the worker to end its tasks and exit; `follow` returns when it has."""
        if not self._writer.is_closing():
            self._writer.write_eof()

    async def call(self, action: str, members: Mapping[str, Any], host: str) -> Any:
        """Call an action as if at `host` and return its Data; raises `Refusal`."""
        nonce, timestamp = secrets.token_hex(8), int(self._clock.time())
        app_id = self._settings.app_id
        query = {
            "Action": action,
            "AppId": str(app_id),
            "SignatureNonce": nonce,
            "Timestamp": str(timestamp),
            "SignatureVersion": "2.0",
            "Signature": sign_call(
                app_id=app_id,
                nonce=nonce,
                server_secret=self._settings.server_secrets[0],
                timestamp=timestamp,
            ),
        }
        try:
            async with asyncio.timeout(CALL_S):
                response = await self.client.post(
                    "/", params=query, json=members, headers={"Host": host}
                )
            envelope = response.raise_for_status().json()
        except (TimeoutError, ValueError, httpx.HTTPError) as error:
            log.warning("worker call failed", pid=self.pid, error=type(error).__name__)
            raise Refusal(Code.SYSTEM_BUSY) from None
        code = Code(envelope["Code"])
        if code is not Code.SUCCESS:
            raise Refusal(code, envelope["Message"].removeprefix(MESSAGES[code]).lstrip(": "))
        return envelope.get("Data")


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    # No line means that the worker is gone.
    for _ in range(MAX_SILENCES):
        try:
            async with asyncio.timeout(SILENCE_S):
                return await reader.readline()
        except TimeoutError:
            continue
        except (OSError, ValueError):
            return b""
    log.error("worker is silent")
    return b""


@asynccontextmanager
async def running_worker(
    settings: EngineSettings, identity: Identity, clock: Clock
) -> AsyncIterator[Worker]:
    """Start a worker and wait until it serves; it is killed at the end if still running.

    Raises `WorkerFailed` if it does not start serving.
    """
    async with _linked_process() as (process, reader, writer):
        writer.write(write_settings(settings, identity))
        ready = await _await_ready(reader)
        log.info("worker ready", pid=process.pid, port=ready.port, drive_port=ready.drive_port)
        async with httpx.AsyncClient(
            base_url=f"http://{LOOPBACK}:{ready.port}",
            verify=authorities(),
            timeout=CALL_S,
            limits=httpx.Limits(max_connections=MAX_CALLS),
            trust_env=False,
        ) as client:
            worker = Worker(
                settings=settings,
                process=process,
                reader=reader,
                writer=writer,
                client=client,
                ready=ready,
                clock=clock,
            )
            try:
                yield worker
            finally:
                worker.is_lost = True


@asynccontextmanager
async def _linked_process() -> AsyncIterator[
    tuple[Process, asyncio.StreamReader, asyncio.StreamWriter]
]:
    ours, theirs = socket.socketpair()
    with theirs:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "engine.workers", str(theirs.fileno())),
            stdin=DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
    reader, writer = await asyncio.open_unix_connection(sock=ours, limit=MAX_LINE_BYTES)
    try:
        yield process, reader, writer
    finally:
        writer.close()
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _await_ready(reader: asyncio.StreamReader) -> Ready:
    try:
        async with asyncio.timeout(START_S):
            report = read_report(await reader.readline())
    except (TimeoutError, OSError, ValueError):
        raise WorkerFailed("a worker did not start") from None
    if isinstance(report, Refused):
        raise WorkerFailed(f"a worker: {report.reason}")
    if not isinstance(report, Ready):
        raise WorkerFailed("a worker did not start properly")
    return report
