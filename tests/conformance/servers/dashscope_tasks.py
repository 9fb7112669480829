"""A server that speaks DashScope's task protocol, with what can go wrong in it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response


@dataclass(slots=True)
class TaskLog:
    """A task as the server saw it."""

    run: dict[str, Any]
    texts: list[str] = field(default_factory=list)
    sound: bytes = b""
    is_input_finished: bool = False


@dataclass(slots=True)
class Faults:
    """What goes wrong, each once set."""

    status: HTTPStatus | None = None
    task_failed: tuple[str, str] | None = None
    before_start: list[str] = field(default_factory=list)
    answer: str | None = None
    is_silent: bool = False
    close_code: int | None = None


class TaskServer:
    """Runs tasks by `perform`, which answers each input."""

    def __init__(self, perform: "Callable[[TaskConnection], Awaitable[None]]") -> None:
        self.faults = Faults()
        self.headers: list[dict[str, str]] = []
        self.tasks: list[TaskLog] = []
        self.events: asyncio.Queue[str] = asyncio.Queue()
        self.url = ""
        self._perform = perform
        self._connections: set[ServerConnection] = set()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, perform: "Callable[[TaskConnection], Awaitable[None]]"
    ) -> AsyncIterator[Self]:
        """A server on a free port."""
        self = cls(perform)

        def refuse(connection: ServerConnection, request: Request) -> Response | None:
            self.headers.append(dict(request.headers.raw_items()))
            if self.faults.status is None:
                return None
            text = json.dumps({"code": "InvalidApiKey", "message": "Invalid API-key provided."})
            return connection.respond(self.faults.status, text)

        server: Server
        async with serve(self._serve, "127.0.0.1", 0, process_request=refuse) as server:
            host, port = next(iter(server.sockets)).getsockname()[:2]
            self.url = f"ws://{host}:{port}/api-ws/v1/inference"
            yield self

    async def until(self, event: str) -> None:
        """Wait for an event: an action, `sound`, or `closed`."""
        while await self.events.get() != event:
            pass

    async def close_idle(self) -> None:
        """Close all connections normally, as the vendor does with idle ones."""
        for connection in [*self._connections]:
            await connection.close()

    async def _serve(self, connection: ServerConnection) -> None:
        self._connections.add(connection)
        try:
            await self._run_tasks(connection)
        except ConnectionClosed:
            pass
        finally:
            self._connections.discard(connection)
            await connection.wait_closed()
            self.events.put_nowait("closed")

    async def _run_tasks(self, connection: ServerConnection) -> None:
        while True:
            run = json.loads(await connection.recv())
            assert run["header"]["action"] == "run-task"
            task = TaskConnection(connection, self, TaskLog(run["payload"]), run["header"])
            self.tasks.append(task.log)
            self.events.put_nowait("run-task")
            for message in self.faults.before_start:
                await connection.send(message)
            if self.faults.is_silent:
                await connection.wait_closed()
            if self.faults.task_failed is not None:
                code, message = self.faults.task_failed
                await task.emit("task-failed", error_code=code, error_message=message)
                return
            await task.emit("task-started")
            await self._perform(task)
            await task.emit("task-finished")


class TaskConnection:
    """A task that the server runs."""

    def __init__(
        self,
        connection: ServerConnection,
        server: TaskServer,
        log: TaskLog,
        header: dict[str, Any],
    ) -> None:
        self.log = log
        self.faults = server.faults
        self._connection = connection
        self._events = server.events
        self._task_id = header["task_id"]

    async def inputs(self) -> AsyncIterator[str | bytes]:
        """Yield texts and sound until the input is finished."""
        async for message in self._connection:
            if isinstance(message, bytes):
                self.log.sound += message
                self._events.put_nowait("sound")
                yield message
            else:
                document = json.loads(message)
                header = document["header"]
                assert (header["task_id"], header["streaming"]) == (self._task_id, "duplex")
                if header["action"] == "finish-task":
                    self.log.is_input_finished = True
                    self._events.put_nowait("finish-task")
                    return
                assert header["action"] == "continue-task"
                self.log.texts.append(document["payload"]["input"]["text"])
                self._events.put_nowait("continue-task")
                yield self.log.texts[-1]
            await self._go_wrong()

    async def _go_wrong(self) -> None:
        if self.faults.answer is not None:
            await self._connection.send(self.faults.answer)
        if self.faults.close_code is not None:
            await self._connection.close(self.faults.close_code, "going away")

    async def result(self, output: dict[str, Any]) -> None:
        """Send a result."""
        await self.emit("result-generated", payload={"output": output})

    async def sound(self, pcm: bytes) -> None:
        """Send sound."""
        await self._connection.send(pcm)

    async def emit(self, event: str, payload: dict[str, Any] | None = None, **more: str) -> None:
        """Send an event."""
        header = {"task_id": self._task_id, "event": event, "attributes": {}, **more}
        await self._connection.send(json.dumps({"header": header, "payload": payload or {}}))
