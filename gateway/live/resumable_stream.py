"""Holds one conversation over as many streams to speech as it takes."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from itertools import takewhile
from typing import TypeAlias

import structlog

from digitalhuman.conversation.v1 import conversation_pb2
from digitalhuman.speech.v1 import speech_pb2 as pb
from digitalhuman.task.v1 import task_pb2
from gateway.backend.services import Backend
from gateway.contract.events import ConversationResumed, ConversationSuspended, NoData
from gateway.live.uplink import Uplink
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import RULES, Reason, Recovery
from services.runtime.queues.batches import batches

log = structlog.get_logger(__name__)

RECONNECT_PAUSES_S = (0.1, 0.3, 1.0, 2.0)
"""Before each attempt to reconnect; the last one is repeated."""

SEARCH_S = 60.0
"""How long speech is looked for: longer than it takes to start, including its models."""

OPENING_S = 20.0
"""The same for a line that is just being opened: its client can be asked to retry."""

OUTAGE_OVER_S = 10.0
"""A stream that lives this long ends the outage before it."""

NO_TURNS = 2**63 - 1
"""No turn comes after this one: only events are read."""

WITNESSED_EVENTS = 128
"""The events kept for the record: what a replica that dies may not have recorded."""


# What the conversation itself cannot report, because speech is lost.
SUSPENDED = ConversationSuspended(event="conversation_suspended", data=NoData())
RESUMED = ConversationResumed(event="conversation_resumed", data=NoData())
Interlude: TypeAlias = ConversationSuspended | ConversationResumed


class ResumableStream:
    """Keeps the position in a conversation across streams: no event twice, none missing."""

    def __init__(self, backend: Backend, *, setup: pb.ConverseRequest) -> None:
        self._backend = backend
        self._setup = setup
        self._position: int | None = None
        self._witnessed: deque[conversation_pb2.ConversationEvent] = deque(maxlen=WITNESSED_EVENTS)

    async def responses(
        self, uplink: Uplink
    ) -> AsyncGenerator[pb.ConverseResponse | Interlude, None]:
        """Yield `ready` once, then events, and interludes while speech is looked for.

        A stream that breaks is followed by another, as long as one is found in time. Raises
        ServiceError.
        """
        search = _Search()
        while True:
            try:
                await self._prepare()
                async with self._backend.converse(self._setup, uplink.requests()) as responses:
                    async for response in responses:
                        if response.HasField("ready") and search.is_on:
                            search.succeed()
                            if self._position is not None:
                                yield RESUMED
                        uplink.note(response.event)
                        if self._is_news(response):
                            yield response
                return
            except ServiceError as error:
                is_news = not search.is_on
                search.go_on()
                longest_s = OPENING_S if self._position is None else SEARCH_S
                is_outage = RULES[error.reason].recovery is Recovery.OUTAGE
                if not is_outage or search.lasted_s > longest_s:
                    raise
                log.warning("conversation interrupted", reason=error.reason, tries=search.tries)
            if is_news and self._position is not None:
                yield SUSPENDED
            await search.pause()

    def _is_news(self, response: pb.ConverseResponse) -> bool:
        """Advance the position; False for what was sent to the client before."""
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

    async def _prepare(self) -> None:
        """Have the next stream start where the one before ended.

        Events are sent a moment before they are recorded. If a replica is killed in between, the
        next one does not know the last events and would reuse their numbers: so the gateway, which
        has seen them, completes the record. Events that were recorded are skipped.
        """
        if self._position is None:
            return
        self._setup.setup.resume_after_sequence = self._position
        try:
            for events in batches(self._witnessed, most=WITNESSED_EVENTS):
                witnessed = task_pb2.AppendEventsRequest(
                    task_id=self._setup.setup.task_id, events=events
                )
                await self._backend.ask(self._backend.task.AppendEvents, witnessed)
        except ServiceError as error:
            if error.reason is not Reason.CONVERSATION_MOVED:
                raise
            await self._return()

    async def _return(self) -> None:
        """Go back to the last event that is on record as the client was sent it.

        The next replica was faster, and has given the numbers of later ones to events of its own.
        """
        before = self._witnessed[0].sequence - 1
        recorded = await self._backend.ask(
            self._backend.task.GetConversation,
            task_pb2.GetConversationRequest(
                task_id=self._setup.setup.task_id, after_turn_id=NO_TURNS, after_sequence=before
            ),
        )
        pairs = zip(self._witnessed, recorded.events, strict=False)
        agreed = [mine for mine, theirs in takewhile(lambda pair: pair[0] == pair[1], pairs)]
        self._witnessed = deque(agreed, maxlen=WITNESSED_EVENTS)
        self._position = self._setup.setup.resume_after_sequence = before + len(agreed)


class _Search:
    """How long and how often speech was looked for in one outage."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._began_at: float | None = None
        self._found_at: float | None = None
        self.tries = 0

    @property
    def is_on(self) -> bool:
        """Whether speech is being looked for."""
        return self._began_at is not None and self._found_at is None

    @property
    def lasted_s(self) -> float:
        """For how long, in seconds."""
        return 0.0 if self._began_at is None else self._loop.time() - self._began_at

    def go_on(self) -> None:
        """Note that speech is not there: the outage goes on, or a new one begins."""
        now = self._loop.time()
        is_over = self._found_at is not None and now - self._found_at > OUTAGE_OVER_S
        if self._began_at is None or is_over:
            self._began_at = now
            self.tries = 0
        self._found_at = None

    async def pause(self) -> None:
        """Wait until the next attempt."""
        await asyncio.sleep(RECONNECT_PAUSES_S[min(self.tries, len(RECONNECT_PAUSES_S) - 1)])
        self.tries += 1

    def succeed(self) -> None:
        """Note that speech is there."""
        self._found_at = self._loop.time()
