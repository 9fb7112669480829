"""The drive WebSocket: Start, PCM, Stop, over TLS; it never sends a frame of its own."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Literal
from urllib.parse import parse_qs
from weakref import WeakKeyDictionary

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_pascal
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response

from engine.audio.sound import InputEnd, PcmFormat, PcmInput, VoiceChannel
from engine.contract.codes import Refusal
from engine.contract.drive_token import DriveTokens
from engine.contract.faults import Faults, SocketDrop
from engine.contract.parameters import describe, read_json
from engine.contract.token import InvalidToken
from engine.tasks.drives import Drive, DriveIds
from engine.tasks.lifecycle import Tasks
from engine.tasks.stage import Order
from engine.tasks.task import Task
from engine.throttle import Throttle, caller_at

PATH = "/ws"
ACTION = "DriveByWsStream"
MAX_FRAME_BYTES = 4 * 2**20
MAX_REASON_BYTES = 120
SECOND_CONNECTION = "second drive connection at a time"

log = structlog.get_logger()


class ProtocolViolation(Exception):
    """The client violated the drive protocol; the message becomes the close reason."""


class _Payload(BaseModel):
    model_config = ConfigDict(alias_generator=to_pascal, strict=True)

    drive_id: str = Field(min_length=1, max_length=64)
    sample_rate: Literal[16000, 24000] = 16000
    channel: Literal[1, 2] = 1
    voice_channel: Literal[0, 1, 2] = 0


class _Command(BaseModel):
    model_config = ConfigDict(alias_generator=to_pascal, strict=True)

    action: Literal["Start", "Stop"]
    payload: _Payload


class _Session:
    """One connection: it feeds at most one drive at a time."""

    def __init__(self, task: Task, faults: Faults, drive_ids: DriveIds) -> None:
        self._task = task
        self._drive_ids = drive_ids
        self._faults = faults
        self._drive: Drive | None = None
        self._input: PcmInput | None = None
        self._drop: SocketDrop | None = None

    async def take_audio(self, pcm: bytes) -> bool:
        """Feed the drive; returns False if a fault cuts the connection."""
        if self._input is None:
            raise ProtocolViolation("audio outside of Start and Stop")
        if len(pcm) % self._input.format.frame_bytes:
            raise ProtocolViolation(
                f"audio frame of {len(pcm)} bytes splits a sample of"
                f" {self._input.format.frame_bytes} bytes"
            )
        await self._input.write(pcm)
        received_s = self._input.received_samples / self._input.format.sample_rate
        return self._drop is None or received_s * 1000 < self._drop.after_ms

    def take_command(self, text: str) -> None:
        """Execute a Start or a Stop."""
        try:
            command = _Command.model_validate(read_json(text))
        except RecursionError:
            raise ProtocolViolation("text frame: is nested too deeply") from None
        except ValidationError as error:
            item = error.errors(include_input=False, include_url=False)[0]
            path = ".".join(map(str, item["loc"])) or "text frame"
            raise ProtocolViolation(f"{path}: {describe(item['type'], item['msg'])}") from None
        except ValueError:
            raise ProtocolViolation("text frame: is no JSON") from None
        if command.action == "Start":
            self._start(command.payload)
        else:
            self._stop(command.payload)

    def lose(self) -> None:
        """Handle a lost connection: a drive without its Stop plays out and fails."""
        if self._drive is not None and self._input is not None:
            self._drive.lose()

    def _start(self, payload: _Payload) -> None:
        drive = self._task.stage.socket_drive if self._task.stage else None
        if drive is None or drive.drive_id != payload.drive_id:
            raise ProtocolViolation("Payload.DriveId: is not the newest drive of the task")
        if drive.input is not None:
            if self._drive_ids is DriveIds.SINGLE_USE:
                raise ProtocolViolation("Payload.DriveId: has been used")
            drive = self._task.require_stage().add(ACTION, Order.ALONE, drive_id=drive.drive_id)
        self._drive = drive
        self._input = drive.open(
            PcmFormat(
                sample_rate=payload.sample_rate,
                channels=payload.channel,
                voice_channel=VoiceChannel(payload.voice_channel),
            )
        )
        self._drop = self._faults.take(SocketDrop, ACTION)

    def _stop(self, payload: _Payload) -> None:
        if self._drive is None or self._input is None:
            raise ProtocolViolation("Stop without Start")
        if payload.drive_id != self._drive.drive_id:
            raise ProtocolViolation("Payload.DriveId: is not the drive that was started")
        self._input.close(InputEnd.STOPPED)
        self._input = None


class DriveSockets:
    """Serves the connections of all tasks."""

    def __init__(
        self,
        *,
        tasks: Tasks,
        tokens: DriveTokens,
        failures: Throttle,
        faults: Faults,
        drive_ids: DriveIds,
    ) -> None:
        self._failures = failures
        self._tasks = tasks
        self._drive_ids = drive_ids
        self._tokens = tokens
        self._faults = faults
        self._admitted: WeakKeyDictionary[ServerConnection, Task] = WeakKeyDictionary()
        self._open: dict[str, int] = {}

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse a handshake with a wrong path or a bad token, or for a task that has ended."""
        path, _, query = request.path.partition("?")
        if path != PATH:
            return connection.respond(HTTPStatus.NOT_FOUND, "no such path\n")
        # There is none when the caller has already gone.
        address = connection.remote_address
        caller = caller_at(address[0] if address else "")
        if not self._failures.allows(caller):
            return connection.respond(HTTPStatus.TOO_MANY_REQUESTS, "too many bad tokens\n")
        token = parse_qs(query).get("Token", [""])[0]
        try:
            task = self._tasks.get(self._tokens.read(token))
            task.require_stage()
        except InvalidToken:
            self._failures.count(caller)
            return connection.respond(HTTPStatus.UNAUTHORIZED, "Token is not valid\n")
        except Refusal as refusal:
            return connection.respond(HTTPStatus.FORBIDDEN, f"{refusal.message}\n")
        self._admitted[connection] = task
        return None

    async def handle(self, connection: ServerConnection) -> None:
        """Serve one connection until it closes or its task ends."""
        task = self._admitted[connection]
        self._open[task.task_id] = self._open.get(task.task_id, 0) + 1
        if self._open[task.task_id] > 1:
            log.warning("drive protocol violation", task_id=task.task_id, rule=SECOND_CONNECTION)
            task.violations.append(SECOND_CONNECTION)
        session = _Session(task, self._faults, self._drive_ids)
        ending = asyncio.create_task(self._close_with(task, connection))
        try:
            await self._receive(connection, session)
        except ProtocolViolation as violation:
            reason = str(violation)[:MAX_REASON_BYTES]
            log.warning("drive protocol violation", task_id=task.task_id, rule=reason)
            task.violations.append(reason)
            await connection.close(CloseCode.POLICY_VIOLATION, reason)
        except ConnectionClosed:
            pass
        finally:
            session.lose()
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)
            self._open[task.task_id] -= 1
            if not self._open[task.task_id]:
                del self._open[task.task_id]

    async def _receive(self, connection: ServerConnection, session: _Session) -> None:
        async for message in connection:
            if isinstance(message, str):
                session.take_command(message)
            elif not await session.take_audio(message):
                connection.transport.abort()
                return

    @staticmethod
    async def _close_with(task: Task, connection: ServerConnection) -> None:
        await task.ended.wait()
        await connection.close(CloseCode.GOING_AWAY, "the task has ended")


@asynccontextmanager
async def serving_drives(
    sockets: DriveSockets, *, host: str, port: int, context: ssl.SSLContext
) -> AsyncIterator[int]:
    """Listen for drives and yield the port. Connections are closed at the end."""
    server: Server
    # Clients that never read cannot answer pings, and the cloud tolerates them.
    async with serve(
        sockets.handle,
        host,
        port,
        ssl=context,
        process_request=sockets.admit,
        compression=None,
        ping_interval=None,
        max_size=MAX_FRAME_BYTES,
        max_queue=16,
        close_timeout=2,
        server_header=None,
    ) as server:
        yield server.sockets[0].getsockname()[1]
