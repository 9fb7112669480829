"""Writes the record of a conversation: the task service keeps it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias

import structlog

from digitalhuman.conversation.v1.conversation_pb2 import ConversationEvent
from digitalhuman.task.v1 import task_pb2 as pb
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import RULES, Reason
from services.runtime.queues.batches import batches
from services.runtime.queues.bounded_queue import BoundedQueue, QueueClosedError, QueueFullError
from services.speech.conversation.event_log import CLOSING

log = structlog.get_logger(__name__)

BATCH_S = 0.3
PARTIAL_S = 0.4
"""How much longer partial words wait alone: a write takes a millisecond of two processes each, and
those that follow say the same and more."""
BATCH_EVENTS = 200
WAITING_EVENTS = 10_000
"""What may wait for a task service that does not answer; beyond it the conversation fails."""

RETRY_S = (0.1, 0.3, 1.0, 2.0, 5.0)
"""Pauses between attempts to write; the last one is repeated."""

Append: TypeAlias = Callable[[pb.AppendEventsRequest], Awaitable[None]]


class Record:
    """Writes a conversation's events in order, in batches, from one task."""

    def __init__(self, *, task_id: str, epoch: int, append: Append) -> None:
        self._task_id = task_id
        self._epoch = epoch
        self._append = append
        self._waiting: BoundedQueue[ConversationEvent] = BoundedQueue(max_items=WAITING_EVENTS)
        self._lasts = asyncio.Event()
        """Set once more than partial words waits."""
        self._hurry = asyncio.Event()
        self._on_written: Callable[[int], None] = lambda sequence: None
        self._on_lost: Callable[[ServiceError], None] = lambda error: None

    def when_written(self, call: Callable[[int], None]) -> None:
        """Have `call` called with the last sequence up to which all events are written."""
        self._on_written = call

    def when_lost(self, call: Callable[[ServiceError], None]) -> None:
        """Have `call` called when nothing more will be written."""
        self._on_lost = call

    def add(self, event: ConversationEvent) -> None:
        """Take an event; it is written within a moment, at once when it ends a turn.

        Partial words alone may take longer.
        """
        try:
            self._waiting.put_nowait(event)
        except QueueClosedError:
            return
        except QueueFullError:
            self._lose(ServiceError(Reason.DEPENDENCY_UNAVAILABLE, "The record cannot be written."))
            return
        if not _is_partial(event):
            self._lasts.set()
        if event.WhichOneof("event") in CLOSING:
            self._hurry.set()

    async def flush(self) -> None:
        """Wait until everything added is written; raises ServiceError when it never will be."""
        self._lasts.set()
        self._hurry.set()
        await self._waiting.drained()

    async def write(self) -> None:
        """Write what is added until cancelled or lost."""
        while not self._waiting.is_closed:
            await self._waiting.readable()
            await _within(PARTIAL_S, self._lasts)
            await _within(BATCH_S, self._hurry)
            self._lasts.clear()
            self._hurry.clear()
            await self._write_waiting()

    async def _write_waiting(self) -> None:
        failures = 0
        while self._waiting:
            batch = next(batches(self._waiting, most=BATCH_EVENTS))
            try:
                await self._append(
                    pb.AppendEventsRequest(task_id=self._task_id, events=batch, epoch=self._epoch)
                )
            except ServiceError as error:
                if not RULES[error.reason].is_passing:
                    self._lose(error)
                    return
                pause_s = RETRY_S[min(failures, len(RETRY_S) - 1)]
                failures += 1
                log.warning("record not written yet", task_id=self._task_id, reason=error.reason)
                await asyncio.sleep(pause_s)
            else:
                failures = 0
                if self._waiting.is_closed:
                    return  # Lost in the meantime: nothing waits any more.
                for _ in batch:
                    self._waiting.pop()
                self._on_written(batch[-1].sequence)

    def _lose(self, error: ServiceError) -> None:
        log.error("record lost", task_id=self._task_id, reason=error.reason)
        self._waiting.abort(error)
        self._on_lost(error)


def _is_partial(event: ConversationEvent) -> bool:
    return event.HasField("transcript_updated") and not event.transcript_updated.is_final


async def _within(seconds: float, event: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
