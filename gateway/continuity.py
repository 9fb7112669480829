"""One conversation over as many streams to speech as it takes."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence

import structlog

from digitalhuman.conversation.v1 import conversation_pb2
from digitalhuman.speech.v1 import speech_pb2 as pb
from digitalhuman.task.v1 import task_pb2
from gateway.backend import Backend
from gateway.uplink import Uplink
from services.runtime.errors import ServiceError
from services.runtime.reasons import Reason

log = structlog.get_logger(__name__)

PAUSES_S = (0.1, 0.3, 1.0, 2.0, 3.0)
"""Before each try to return, per outage."""

OUTAGE_OVER_S = 10.0
"""A stream that lived so long ends the outage before it."""

PASSING = frozenset({Reason.DEPENDENCY_UNAVAILABLE, Reason.DRAINING})
WITNESSED_EVENTS = 128
"""A moment of a conversation: what a replica that dies may not have written down."""


class Continuity:
    """Holds the place in a conversation while streams come and go: no event twice, none missing."""

    def __init__(
        self, backend: Backend, *, setup: pb.ConverseRequest, pauses_s: Sequence[float] = PAUSES_S
    ) -> None:
        self._backend = backend
        self._setup = setup
        self._pauses_s = pauses_s
        self._position: int | None = None
        self._witnessed: deque[conversation_pb2.ConversationEvent] = deque(maxlen=WITNESSED_EVENTS)

    async def responses(self, uplink: Uplink) -> AsyncGenerator[pb.ConverseResponse, None]:
        """Yield `ready` once, then events.

        A stream that breaks is followed by another, as long as there are tries. Raises
        ServiceError.
        """
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            began_at = loop.time()
            try:
                if failures:
                    await self._prepare_return()
                async with self._backend.converse(self._setup, uplink.requests()) as responses:
                    async for response in responses:
                        uplink.note(response.event)
                        if self._is_news(response):
                            yield response
                return
            except ServiceError as error:
                if loop.time() - began_at > OUTAGE_OVER_S:
                    failures = 0
                if not self._may_return(error) or failures >= len(self._pauses_s):
                    raise
                log.warning("conversation interrupted", reason=error.reason, failures=failures)
            await asyncio.sleep(self._pauses_s[failures])
            failures += 1

    def _is_news(self, response: pb.ConverseResponse) -> bool:
        """Keep the place; False for what the client has been told already."""
        if response.HasField("ready"):
            is_first = self._position is None
            if is_first:
                setup = self._setup.setup
                is_resumed = setup.HasField("resume_after_sequence")
                self._position = (
                    setup.resume_after_sequence if is_resumed else response.ready.last_sequence
                )
            return is_first
        event = response.event
        if self._position is None or event.sequence <= self._position:
            return False
        self._position = event.sequence
        self._witnessed.append(event)
        return True

    def _may_return(self, error: ServiceError) -> bool:
        return self._position is not None and error.reason in PASSING

    async def _prepare_return(self) -> None:
        """Have the next stream begin where this one ended.

        Events are told a moment before they are recorded. A replica that was killed in between has
        told what the next one would not know of, and would number anew: so the witness completes
        the record. Events that are there are skipped.
        """
        assert self._position is not None
        self._setup.setup.resume_after_sequence = self._position
        if self._witnessed:
            witnessed = task_pb2.AppendEventsRequest(
                task_id=self._setup.setup.task_id, events=self._witnessed
            )
            await self._backend.ask(self._backend.task.AppendEvents, witnessed)
