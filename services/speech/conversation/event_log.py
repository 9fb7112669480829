"""Numbers what happens in a conversation, and delivers it to the record and to all listeners."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from digitalhuman.conversation.v1 import conversation_pb2 as pb
from services.runtime.clock import steady_time
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.runtime.queues.bounded_queue import BoundedQueue, QueueClosedError, QueueFullError
from services.speech.conversation.events import Event, ToolCalled, TurnFailed, TurnFinished
from services.speech.conversation.wire import to_event
from services.speech.streams import closing

WAITING_ITEMS = 2_048
"""What may wait for a slow listener before it is sent away: minutes of a conversation."""

WAITING_AUDIO = 8
"""Chunks of audio that may wait; their producer waits for room."""

BEHIND_S = 0.005
"""How much later than they happen events are delivered, where no listener gets sound with them. It
takes each process on the way about half a millisecond, in which the turn goes on: the language
model is asked, a voice is given its text, and sound leaves."""

ROOM_S = 20.0
"""A listener that takes no audio for so long has left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducedAudio:
    """Audio of a reply for a caller that plays it itself."""

    turn_id: int
    pcm: bytes


Item: TypeAlias = pb.ConversationEvent | ProducedAudio


@dataclass(frozen=True, slots=True, kw_only=True)
class _Happened:
    event: Event
    at: float
    sequence: int
    turn_id: int


class Listener:
    """One stream's view of a conversation; iterating ends when it is closed.

    One that `is_patient` is told of events a moment later.
    """

    def __init__(self, *, is_patient: bool = False) -> None:
        self.is_patient = is_patient
        self._queue: BoundedQueue[Item] = BoundedQueue(
            max_items=WAITING_ITEMS, max_size=WAITING_AUDIO, size_of=_audio_count
        )
        self.is_leaving = False
        """Whether it is closed once the turns that run now are over: its caller asks no more."""

    def put(self, event: pb.ConversationEvent) -> None:
        """Add an event; a listener that is too slow is sent away."""
        try:
            self._queue.put_nowait(event)
        except QueueClosedError:
            pass
        except QueueFullError:
            error = ServiceError(
                Reason.RATE_LIMITED,
                f"The stream is read too slowly: more than {WAITING_ITEMS} events wait.",
                retry_after_s=1.0,
            )
            self._queue.abort(error)

    async def put_audio(self, audio: ProducedAudio) -> None:
        """Add audio; waits for room. Raises ServiceError when the listener has left."""
        try:
            async with asyncio.timeout(ROOM_S):
                await self._queue.put(audio)
        except TimeoutError:
            self.close(
                ServiceError(Reason.RATE_LIMITED, "The stream is read too slowly: audio waits.")
            )
            raise _left() from None
        except QueueClosedError:
            raise _left() from None

    def close(self, error: Exception | None = None) -> None:
        """Add nothing more; what waits can still be read, and an error follows it."""
        self._queue.close(error)

    async def items(self) -> AsyncIterator[Item]:
        """Yield events and audio in order; raises ServiceError when the listener was sent away."""
        async with closing(self._queue.items()) as items:
            async for item in items:
                await asyncio.sleep(0)  # The avatar's sound that an event is about leaves first.
                yield item


def _audio_count(item: Item) -> int:
    """Events have no size: they are bounded in number alone."""
    return 1 if isinstance(item, ProducedAudio) else 0


def _left() -> ServiceError:
    return ServiceError(Reason.CANCELLED, "The caller went away.")


class Recorder(Protocol):
    """Keeps the events of a conversation."""

    def add(self, event: pb.ConversationEvent) -> None:
        """Keep an event; it is written soon."""


class PastEvents(Protocol):
    """The events that were kept."""

    async def events_after(self, sequence: int) -> Sequence[pb.ConversationEvent]:
        """Return the events after a sequence, up to the latest; raises ServiceError."""


CLOSING = frozenset({"turn_finished", "turn_failed"})
"""Events that say that a turn is over: a listener that gets one finds the turn in the record."""


class EventLog:
    """One conversation's events: from 1, without gaps.

    They are delivered a moment after they have happened, those of that moment together. What
    somebody waits for is delivered at once, with all before it: the end of a turn, a call of the
    app's function, and everything while a listener is not patient.
    """

    def __init__(
        self,
        *,
        recorder: Recorder | None,
        past: PastEvents | None = None,
        last_sequence: int = 0,
    ) -> None:
        self._recorder = recorder
        self._past = past
        self._listeners: dict[Listener, int] = {}
        """Each with the last event before it came."""
        self._happened: deque[_Happened] = deque()
        self._delivery: asyncio.TimerHandle | None = None
        self._undelivered: deque[pb.ConversationEvent] = deque()
        self._all_delivered = asyncio.Event()
        self._all_delivered.set()
        self._last_recorded = last_sequence
        self._failure: ServiceError | None = None
        self.last_sequence = last_sequence

    def publish(self, event: Event, *, turn_id: int) -> None:
        """Number an event, and deliver it soon; the end of a turn is recorded first."""
        self.last_sequence += 1
        self._happened.append(
            _Happened(event=event, at=steady_time(), sequence=self.last_sequence, turn_id=turn_id)
        )
        self._all_delivered.clear()
        if self._is_urgent(event):
            self.deliver()
        elif self._delivery is None:
            self._delivery = asyncio.get_running_loop().call_later(BEHIND_S, self.deliver)

    def deliver(self) -> None:
        """Deliver now what has happened."""
        if self._delivery is not None:
            self._delivery.cancel()
            self._delivery = None
        while self._happened:
            each = self._happened.popleft()
            message = to_event(each.event, at=each.at, sequence=each.sequence, turn_id=each.turn_id)
            self._undelivered.append(message)
            if self._recorder is not None:
                self._recorder.add(message)
        self._send_to_listeners()

    def note_recorded(self, sequence: int) -> None:
        """All events up to this one are in the record."""
        self._last_recorded = sequence
        self._send_to_listeners()

    async def all_delivered(self) -> None:
        """Wait until everything that has happened is delivered, or never will be."""
        await self._all_delivered.wait()

    async def events_after(self, sequence: int) -> Sequence[pb.ConversationEvent]:
        """Return the events after a sequence up to now; raises ServiceError."""
        last = self.last_sequence
        if sequence > last:
            raise ServiceError(
                Reason.SEQUENCE_OUT_OF_RANGE,
                f"setup.resume_after_sequence: {sequence} lies beyond the last, {last}",
                last_sequence=str(last),
            )
        if self._past is None or sequence == last:
            return ()
        self.deliver()
        events = await self._past.events_after(sequence)
        return [event for event in events if event.sequence <= last]

    def fail(self, error: ServiceError) -> None:
        """The conversation cannot go on: send all listeners away, and later ones too."""
        self.deliver()
        self._failure = error
        self._undelivered.clear()
        self._all_delivered.set()
        for listener in self._listeners:
            listener.close(error)

    def send_on(self, error: ServiceError) -> None:
        """Send those listeners away that would stay."""
        self.deliver()
        for listener in self._listeners:
            if not listener.is_leaving:
                listener.close(error)

    @contextmanager
    def attached(self, *, is_patient: bool = False) -> Iterator[Listener]:
        """A listener that gets every event from now on; raises ServiceError after a failure."""
        if self._failure is not None:
            raise self._failure
        listener = Listener(is_patient=is_patient)
        self._listeners[listener] = self.last_sequence
        try:
            yield listener
        finally:
            self.deliver()
            del self._listeners[listener]
            listener.close()

    def _is_urgent(self, event: Event) -> bool:
        """Whether somebody waits for an event."""
        if isinstance(event, TurnFinished | TurnFailed | ToolCalled):
            return True
        return not all(listener.is_patient for listener in self._listeners)

    def _send_to_listeners(self) -> None:
        while self._undelivered and not self._awaits_record(self._undelivered[0]):
            message = self._undelivered.popleft()
            for listener, before in self._listeners.items():
                if message.sequence > before:
                    listener.put(message)
        if self._undelivered or self._happened:
            self._all_delivered.clear()
        else:
            self._all_delivered.set()

    def _awaits_record(self, message: pb.ConversationEvent) -> bool:
        """Whether the record must have an event before anybody gets it."""
        return (
            self._recorder is not None
            and message.WhichOneof("event") in CLOSING
            and message.sequence > self._last_recorded
        )
