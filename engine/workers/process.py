"""One worker, connected to its front by a socket."""

import asyncio
import signal
import socket
import sys
from contextlib import suppress
from urllib.parse import urlsplit

import structlog
import uvloop

from engine.app import serving, voice_of
from engine.clock import SystemClock
from engine.contract.faults import Faults
from engine.light_start import end_start
from engine.logs import configure_logs
from engine.refusals import reason_of
from engine.routes.api import Unlimited
from engine.routes.door import OpenDoor
from engine.serving.certificate import Identity
from engine.settings import EngineSettings
from engine.tasks.callbacks import Notice
from engine.workers.reports import (
    LOOPBACK,
    MAX_LINE_BYTES,
    Event,
    Ready,
    Refused,
    Report,
    WorkerHealth,
    read_settings_line,
    write_line,
)

HEALTH_EVERY_S = 0.5
SETTINGS_TIMEOUT_S = 10.0
FLUSH_S = 2.0
# A front that leaves this much unread is considered dead.
MAX_UNREAD_BYTES = 8 * 2**20

log = structlog.get_logger()


class FrontLine:
    """Sends the worker's notices to the front, which sends the callbacks."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def send(self, notice: Notice) -> None:
        """Report a notice to the front."""
        self.report(Event.of(notice))

    def report(self, report: Report) -> None:
        """Write one report; aborts the connection, and so this process, if nobody reads."""
        if self._writer.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            log.error("front does not read")
            self._writer.transport.abort()
        else:
            self._writer.write(write_line(report))


async def work(link: socket.socket) -> None:
    """Serve from the settings line until the front closes the connection for any reason."""
    reader, writer = await asyncio.open_unix_connection(sock=link, limit=MAX_LINE_BYTES)
    async with asyncio.timeout(SETTINGS_TIMEOUT_S):
        settings, identity = read_settings_line(await reader.readline())
    configure_logs(settings)
    line = FrontLine(writer)
    try:
        await _serve(settings, identity, line, reader)
    except* OSError as group:
        line.report(Refused(reason=reason_of(group)))
    finally:
        writer.close()
        # Flush the last notices, unless the front is gone.
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                await writer.wait_closed()


async def _serve(
    settings: EngineSettings, identity: Identity, line: FrontLine, reader: asyncio.StreamReader
) -> None:
    async with (
        voice_of(settings) as voice,
        serving(
            settings,
            identity=identity,
            host=LOOPBACK,
            limit=Unlimited(),
            door=OpenDoor(),
            notices=line,
            faults=Faults(),
            clock=SystemClock(),
            speaker=voice,
        ) as engine,
    ):
        port = urlsplit(engine.base_url).port or 0
        end_start()
        line.report(Ready(port=port, drive_port=engine.drive_port))
        closed = asyncio.create_task(_closed(reader))
        while not closed.done():
            line.report(WorkerHealth(figures=engine.health()))
            await asyncio.wait((closed,), timeout=HEALTH_EVERY_S)


async def _closed(reader: asyncio.StreamReader) -> None:
    """Return once the front has closed the connection, or was killed before it had read all."""
    with suppress(OSError):
        await reader.read()


def main() -> None:
    """Serve the front at the other end of the socket whose descriptor is the first argument."""
    # The front handles signals that are sent to all processes of the engine.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as link:
        uvloop.run(work(link))
