"""Signed callbacks: in order per task, retried on the cloud's schedule, then dropped."""

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

import httpx
import structlog

from engine.authorities import authorities
from engine.clock import Clock
from engine.contract.faults import CallbackFault, Faults
from engine.contract.signature import sign_callback

RETRY_AFTER_S = (2.0, 4.0, 8.0, 16.0, 32.0)
REQUEST_TIMEOUT_S = 5.0
FLUSH_S = 2.0
MAX_WAITING = 256

log = structlog.get_logger()


class EventType(IntEnum):
    TASK_STATUS = 3
    DRIVE_STATUS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One event of a task; `is_last` if no other follows for it."""

    event_type: EventType
    task_id: str
    event_time_ms: int
    detail: Mapping[str, Any]
    is_last: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Who receives the callbacks, and how they are signed."""

    url: str
    secret: str
    app_id: int
    timestamp_unit: str


class Notices(Protocol):
    """Accepts notices."""

    def send(self, notice: Notice) -> None:
        """Accept a notice, after the earlier ones of its task; never blocks."""


class Callbacks:
    """Sends notices in the background; without a receiver they are dropped."""

    def __init__(
        self, *, receiver: Receiver | None, client: httpx.AsyncClient, clock: Clock, faults: Faults
    ) -> None:
        self._receiver = receiver
        self._client = client
        self._clock = clock
        self._faults = faults
        self._lanes: dict[str, deque[Notice]] = {}
        self._held: dict[str, Notice] = {}
        self._senders: set[asyncio.Task[None]] = set()
        self._ending = asyncio.Event()

    def send(self, notice: Notice) -> None:
        """Queue a notice after the earlier ones of its task."""
        if self._receiver is None:
            return
        held = self._held.pop(notice.task_id, None)
        fault = self._faults.take(CallbackFault)
        match fault.kind if fault else None:
            case "callback_loss":
                notices = []
            case "callback_duplicate":
                notices = [notice, notice]
            case "callback_reorder" if not notice.is_last and held is None:
                self._held[notice.task_id] = notice
                return
            case _:
                notices = [notice]
        for item in [*notices, held] if held else notices:
            self._enqueue(self._receiver, item)

    async def flush(self, seconds: float) -> None:
        """Send what is queued, for a limited time, and drop the rest.

        A receiver that fails now is not retried: it is most likely shutting down, too.
        """
        self._ending.set()
        if self._senders:
            await asyncio.wait(self._senders, timeout=seconds)
        for sender in self._senders:
            sender.cancel()
        await asyncio.gather(*self._senders, return_exceptions=True)

    def _enqueue(self, receiver: Receiver, notice: Notice) -> None:
        lane = self._lanes.get(notice.task_id)
        if lane is None:
            lane = self._lanes[notice.task_id] = deque()
            sender = asyncio.create_task(self._drain(receiver, notice.task_id, lane))
            self._senders.add(sender)
            sender.add_done_callback(self._senders.discard)
        if len(lane) >= MAX_WAITING:
            log.warning("callback dropped", task_id=notice.task_id, reason="too many wait")
        else:
            lane.append(notice)

    async def _drain(self, receiver: Receiver, task_id: str, lane: deque[Notice]) -> None:
        while lane:
            is_taken = await self._deliver(receiver, lane[0])
            if not is_taken and self._ending.is_set():
                return
            lane.popleft()
        del self._lanes[task_id]

    async def _deliver(self, receiver: Receiver, notice: Notice) -> bool:
        """Return whether the receiver accepted the notice, immediately or on a retry."""
        body = self._body(receiver, notice)
        for wait_s in (*RETRY_AFTER_S, None):
            outcome = await self._post(receiver.url, body)
            if outcome is None:
                return True
            retry_s = None if self._ending.is_set() else wait_s
            log.warning("callback failed", task_id=notice.task_id, outcome=outcome, retry_s=retry_s)
            if retry_s is None:
                break
            await self._clock.wait(self._ending, retry_s)
        return False

    async def _post(self, url: str, body: Mapping[str, Any]) -> str | None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                response = await self._client.post(url, json=body)
        except TimeoutError:
            return "timeout"
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return type(error).__name__
        return None if response.is_success else f"HTTP {response.status_code}"

    def _body(self, receiver: Receiver, notice: Notice) -> dict[str, Any]:
        now = self._clock.time()
        timestamp = str(int(now * 1000) if receiver.timestamp_unit == "ms" else int(now))
        nonce = secrets.token_hex(8)
        return {
            "AppId": receiver.app_id,
            "EventType": notice.event_type,
            "Nonce": nonce,
            "Timestamp": timestamp,
            "Signature": sign_callback(
                callback_secret=receiver.secret, timestamp=timestamp, nonce=nonce
            ),
            "EventTime": notice.event_time_ms,
            "TaskId": notice.task_id,
            "Detail": dict(notice.detail),
        }


@asynccontextmanager
async def sending_callbacks(
    *, receiver: Receiver | None, clock: Clock, faults: Faults
) -> AsyncIterator[Callbacks]:
    """Send callbacks; what is queued at the end is flushed for a moment."""
    async with httpx.AsyncClient(
        verify=authorities(), timeout=REQUEST_TIMEOUT_S, trust_env=False
    ) as client:
        callbacks = Callbacks(receiver=receiver, client=client, clock=clock, faults=faults)
        try:
            yield callbacks
        finally:
            await callbacks.flush(FLUSH_S)
