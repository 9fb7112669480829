"""What the servers of DashScope share: its task protocol."""

import json
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any, ClassVar, Generic, TypeVar

from tests.conformance.script import KEY, Session, Trouble
from tests.conformance.socket_server import Connection, SocketServer

S = TypeVar("S", bound=Session)

FAILURES: Mapping[Trouble, tuple[str, str]] = {
    Trouble.QUOTA: ("Arrearage", f"Access denied, account of {KEY} is not in good standing."),
    Trouble.RATE_LIMIT: ("Throttling.RateQuota", "Requests rate limit exceeded."),
}


def _event(event: str, output: object) -> str:
    return json.dumps({"header": {"event": event}, "payload": {"output": output}})


class TaskServer(SocketServer[S], Generic[S]):
    """Runs tasks, each by `perform`; `failure` is with what code and message it fails all."""

    path = "/api-ws/v1/inference"
    refusals: ClassVar = {
        Trouble.WRONG_KEY: HTTPStatus.UNAUTHORIZED,
        Trouble.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    }
    garbage = _event("result-generated", [])
    unknown = (
        _event("task-applauded", 1),
        _event("result-generated", {"type": "sentence-applause", "members": {}}),
        json.dumps({"header": {"event": "task-failed", "task_id": "another"}, "payload": {}}),
    )

    def __init__(self) -> None:
        super().__init__()
        self.failure: tuple[str, str] | None = None
        self.runs: list[dict[str, Any]] = []

    @abstractmethod
    def begin(self, run: Mapping[str, Any]) -> S:
        """Return what is remembered of a task."""

    @abstractmethod
    async def perform(self, task: "TaskConnection[S]") -> None:
        """Answer the inputs of a task until the last."""

    async def converse(self, connection: Connection[S]) -> None:
        """Run one task after the other."""
        while True:
            run = json.loads(await connection.receive())
            assert run["header"]["action"] == "run-task"
            self.runs.append(run["payload"])
            session = connection.begin(self.begin(run["payload"]))
            task = TaskConnection(connection, run["header"]["task_id"], session)
            failure = self.failure or (FAILURES.get(self.trouble) if self.trouble else None)
            if failure is not None:
                code, message = failure
                failed = task.event("task-failed", error_code=code, error_message=message)
                await connection.refuse(failed)
                return
            await connection.say(task.event("task-started"))
            await self.perform(task)
            session.is_finished = session.has_ended = True
            await connection.say(task.event("task-finished"))


class TaskConnection(Generic[S]):
    """A task that the server runs."""

    def __init__(self, connection: Connection[S], task_id: str, session: S) -> None:
        self.session = session
        self._connection = connection
        self._task_id = task_id

    async def inputs(self) -> AsyncIterator[str | bytes]:
        """Yield texts and sound until the input is finished."""
        async for message in self._connection:
            if isinstance(message, bytes):
                yield message
                continue
            document = json.loads(message)
            header = document["header"]
            assert (header["task_id"], header["streaming"]) == (self._task_id, "duplex")
            if header["action"] == "finish-task":
                return
            assert header["action"] == "continue-task"
            yield document["payload"]["input"]["text"]

    async def result(self, output: Mapping[str, Any]) -> None:
        """Send a result."""
        await self._connection.answer(self.event("result-generated", {"output": output}))

    async def mark(self, output: Mapping[str, Any]) -> None:
        """Send a result in which there is no piece of the answer yet."""
        await self._connection.say(self.event("result-generated", {"output": output}))

    async def sound(self, pcm: bytes) -> None:
        """Send sound."""
        await self._connection.answer(pcm)

    def event(self, event: str, payload: Mapping[str, Any] | None = None, **more: str) -> str:
        """Return an event of this task."""
        header = {"task_id": self._task_id, "event": event, "attributes": {}, **more}
        return json.dumps({"header": header, "payload": payload or {}})
