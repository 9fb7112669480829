"""The open line of a user, which returns with `after` wherever it breaks."""

import asyncio
import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from bench.chaos.account import Account, SeenEvent
from bench.chaos.calls import API, Calls

ANSWER_S = 60.0
_OPEN_S = 30.0
_PAUSE_S = 0.2
_OVER = ("TASK_ENDED", "TASK_NOT_FOUND")


class TaskOver(Exception):
    """The task has ended, so the line has."""


@dataclass(slots=True, kw_only=True)
class Line:
    """One user's line; entered once and kept up by `run`."""

    task_id: str
    calls: Calls
    account: Account
    asked: dict[str, str] = field(default_factory=dict)
    """Texts that are not answered yet, by request id."""
    turns: dict[int, str] = field(default_factory=dict)
    """Request ids of running turns."""
    last: int | None = None
    socket: ClientConnection | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    started: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask(self, text: str) -> bool:
        """Ask, and return whether the turn was closed within the patience of a user."""
        request_id = str(uuid.uuid4())
        self.asked[request_id] = text
        self.account.asked[request_id] = self.task_id
        self.started.clear()
        await self._send(request_id)
        try:
            async with asyncio.timeout(ANSWER_S):
                while request_id in self.asked:
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            del self.asked[request_id]
            return False
        return True

    def break_off(self) -> None:
        """Lose the connection, as in a tunnel."""
        if self.socket is not None:
            self.socket.transport.abort()

    async def run(self) -> None:
        """Hold the line until the task is over."""
        while True:
            try:
                await self._hold()
            except (OSError, InvalidHandshake, ConnectionClosed, TimeoutError, EOFError):
                self.account.answers["line: broken"] += 1
            finally:
                self.socket = None
            await asyncio.sleep(_PAUSE_S)

    async def _hold(self) -> None:
        url = self.calls.gateway().replace("http", "ws", 1)
        after = "" if self.last is None else f"&after={self.last}"
        query = f"taskId={self.task_id}&lang=en&turnDetection=MANUAL{after}"
        async with connect(
            f"{url}{API}/talk?{query}", compression=None, proxy=None, open_timeout=_OPEN_S
        ) as socket:
            try:
                async for message in socket:
                    await self._take(json.loads(message), socket)
            finally:
                socket.transport.abort()

    async def _take(self, told: dict[str, Any], socket: ClientConnection) -> None:
        if "problem" in told:
            reason = told["problem"]["reason"]
            self.account.answers[f"line: {reason}"] += 1
            if reason in _OVER:
                raise TaskOver(reason)
            if reason == "SEQUENCE_OUT_OF_RANGE":
                # The speech process died before what it told last was recorded.
                self.last = int(told["problem"]["metadata"]["lastSequence"])
            return
        data = told["data"]
        if told["event"] == "ready":
            if self.last is None:
                self.last = data["lastSequence"]
            self.socket = socket
            for request_id in list(self.asked):
                await self._send(request_id)
        elif "sequence" in told:
            self._note(told)

    def _note(self, told: dict[str, Any]) -> None:
        name, sequence, data = told["event"], told["sequence"], told["data"]
        assert self.last is not None
        if sequence != self.last + 1:
            kind = "twice" if sequence <= self.last else "missing before"
            self.account.breaches.append(f"{self.task_id}: {kind} {sequence} ({name})")
        self.last = sequence
        turn_id = data.get("turnId", 0)
        self.account.events.append(
            SeenEvent(task_id=self.task_id, sequence=sequence, name=name, turn_id=turn_id)
        )
        match name:
            case "turn_started":
                self.turns[turn_id] = data.get("requestId", "")
            case "playback_started":
                self.started.set()
            case "turn_finished" | "turn_failed":
                self.account.close_turn(self.task_id, data)
                self.asked.pop(self.turns.pop(turn_id, ""), None)
        self.changed.set()

    async def _send(self, request_id: str) -> None:
        if self.socket is None:
            return  # It is sent when there is a line again.
        text = {"type": "text", "text": self.asked[request_id], "requestId": request_id}
        try:
            await self.socket.send(json.dumps(text))
        except ConnectionClosed:
            return
