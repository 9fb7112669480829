"""DashScope's task protocol: tasks that take texts or sound while they already answer.

Each connection serves one task at a time, and another once a task has finished; a task that fails
ends its connection.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NoReturn, TypeAlias
from uuid import uuid4

import structlog

from services.speech.ports.errors import ProviderError, ProviderQuotaError
from services.speech.ports.stages import Stage
from services.speech.vendors.documents import parse_json
from services.speech.vendors.http.client import Endpoint, malformed_answer
from services.speech.vendors.http.error_details import redacted
from services.speech.vendors.websocket.client import VendorSocket
from services.speech.vendors.websocket.pool import SocketPool

log = structlog.get_logger(__name__)

_QUOTA = ("Throttling", "Arrearage", "LimitRequests", "InsufficientQuota")
_MISCONFIGURED = (
    *("InvalidParameter", "InvalidApiKey", "InvalidURL", "InvalidModel", "BadRequest"),
    *("AccessDenied", "Model.AccessDenied", "ModelNotFound", "UnsupportedModel", "Workspace"),
)

Payload: TypeAlias = Mapping[str, Any]


class Task:
    """A task that runs."""

    def __init__(
        self, socket: VendorSocket, endpoint: Endpoint, stage: Stage, run: Payload
    ) -> None:
        self.is_finished = False
        self._socket = socket
        self._endpoint = endpoint
        self._stage = stage
        self._run = run
        self._id = str(uuid4())

    async def start(self) -> None:
        """Run the task, and wait until it takes input; raises ProviderError."""
        await self._act("run-task", {**self._run, "model": self._endpoint.model})
        while await self._event() != ("task-started", None):
            pass

    async def send_text(self, text: str) -> None:
        """Add text to the input."""
        await self._act("continue-task", {"input": {"text": text}})

    async def send_sound(self, pcm: bytes) -> None:
        """Add sound to the input."""
        await self._socket.send(pcm)

    async def finish(self) -> None:
        """End the input."""
        await self._act("finish-task", {"input": {}})

    async def results(self) -> AsyncIterator[Payload | bytes]:
        """Yield the output of each result, and sound, until the task is finished."""
        while not self.is_finished:
            match await self._event():
                case "task-finished", _:
                    self.is_finished = True
                case "result-generated", output:
                    yield output
                case "sound", pcm:
                    yield pcm

    async def _act(self, action: str, payload: Payload) -> None:
        header = {"action": action, "task_id": self._id, "streaming": "duplex"}
        await self._socket.send(json.dumps({"header": header, "payload": payload}))

    async def _event(self) -> tuple[str, Any]:
        """Return the next event of this task, with its output or sound."""
        while True:
            message = await self._socket.receive()
            if isinstance(message, bytes):
                return "sound", message
            try:
                document = parse_json(message)
                header = document["header"]
                event, task_id = header["event"], header.get("task_id", self._id)
                output = (document.get("payload") or {}).get("output")
            except (ValueError, TypeError, KeyError, AttributeError):
                raise self.malformed("a message without an event") from None
            if task_id != self._id:
                continue
            if event == "task-failed":
                self._fail(header)
            if event == "result-generated" and not isinstance(output, dict):
                raise self.malformed("a result without output")
            return event, output if event == "result-generated" else None

    def malformed(self, what: str) -> ProviderError:
        """Return the error for a message that breaks the protocol."""
        return malformed_answer(self._stage, self._endpoint, what)

    def _fail(self, header: Mapping[str, Any]) -> NoReturn:
        code = str(header.get("error_code", ""))
        said = redacted(f"{code} {header.get('error_message', '')}", self._endpoint.api_key)
        name = self._endpoint.name
        log.warning("vendor task failed", stage=self._stage, provider=name, task_id=self._id)
        what = "the provider's task failed"
        if code.startswith(_QUOTA) or "rate limit" in said.lower():
            raise ProviderQuotaError(self._stage, name, what, vendor_message=said)
        is_transient = not code.startswith(_MISCONFIGURED)
        raise ProviderError(self._stage, name, what, transient=is_transient, vendor_message=said)


@asynccontextmanager
async def open_task(
    pool: SocketPool, endpoint: Endpoint, stage: Stage, run: Payload
) -> AsyncIterator[Task]:
    """A task that has started.

    Leaving it before it is finished closes the connection, which cancels the task. Raises
    ProviderError, TimeoutError when the start is late.
    """
    async with pool.lend() as loan:
        task = Task(loan.socket, endpoint, stage, run)
        async with asyncio.timeout(endpoint.deadlines.first_s):
            await task.start()
        try:
            yield task
        finally:
            loan.can_be_reused = task.is_finished
