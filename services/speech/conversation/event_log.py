"""Numbers what happens in a conversation, and tells it to the record and to all who listen."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from digitalhuman.conversation.v1 import conversation_pb2 as pb
from services.runtime.errors import ServiceError
from services.runtime.reasons import Reason
from services.speech.conversation.events import Event
from services.speech.conversation.wire import to_event

WAITING_ITEMS = 2_048
"""What may wait for a slow listener before it is sent away: minutes of a conversation."""

WAITING_AUDIO = 8
"""Chunks of audio that may wait; their producer waits for room."""

ROOM_S = 20.0
"""A listener that takes no audio for so long is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducedAudio:
    """Audio of a reply for a caller that plays it itself."""

    turn_id: int
    pcm: bytes


Item: TypeAlias = pb.ConversationEvent | ProducedAudio


class Listener:
    """One stream's view of a conversation; iterating ends when it is closed."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._audio_waiting = 0
        self._changed = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def put(self, event: pb.ConversationEvent) -> None:
        """Tell an event; a listener that is too slow is sent away."""
        if self._end.done():
            return
        if len(self._items) >= WAITING_ITEMS:
            self._items.clear()
            self.fail(
                ServiceError(
                    Reason.RATE_LIMITED,
                    f"The stream is read too slowly: more than {WAITING_ITEMS} events wait.",
                    retry_after_s=1.0,
                )
            )
            return
        self._items.append(event)
        self._changed.set()

    async def put_audio(self, audio: ProducedAudio) -> None:
        """Hand over audio; waits for room. Raises ServiceError when the listener is gone."""
        try:
            async with asyncio.timeout(ROOM_S):
                await self._has_room.wait()
        except TimeoutError:
            self.fail(
                ServiceError(Reason.RATE_LIMITED, "The stream is read too slowly: audio waits.")
            )
        if self._end.done():
            raise ServiceError(Reason.CANCELLED, "The caller went away.")
        self._items.append(audio)
        self._audio_waiting += 1
        if self._audio_waiting >= WAITING_AUDIO:
            self._has_room.clear()
        self._changed.set()

    def close(self) -> None:
        """Nothing more will be told; what waits is still read."""
        self._finish(None)

    def fail(self, error: Exception) -> None:
        """Nothing more will be told; the error comes after what waits."""
        self._finish(error)

    def _finish(self, error: Exception | None) -> None:
        if not self._end.done():
            if error is None:
                self._end.set_result(None)
            else:
                self._end.set_exception(error)
                self._end.exception()  # The reader may have gone before it could see it.
            self._has_room.set()
            self._changed.set()

    async def items(self) -> AsyncIterator[Item]:
        """What is told, in order; raises ServiceError when the listener was sent away."""
        while True:
            while self._items:
                item = self._items.popleft()
                if isinstance(item, ProducedAudio):
                    self._audio_waiting -= 1
                    self._has_room.set()
                yield item
            if self._end.done():
                self._end.result()
                return
            self._changed.clear()
            await self._changed.wait()


class Recorder(Protocol):
    """Takes the events of a conversation for good."""

    def add(self, event: pb.ConversationEvent) -> None:
        """Keep an event; it is written down soon."""


CLOSING = frozenset({"turn_finished", "turn_failed"})
"""Events that say that a turn is over: whoever is told so finds it in the record."""


class EventLog:
    """One conversation's events: from 1, without gaps."""

    def __init__(self, *, recorder: Recorder | None, last_sequence: int = 0) -> None:
        self._recorder = recorder
        self._listeners: dict[Listener, int] = {}
        """Each with the last event before it came."""
        self._untold: deque[pb.ConversationEvent] = deque()
        self._all_told = asyncio.Event()
        self._all_told.set()
        self._last_recorded = last_sequence
        self._failure: ServiceError | None = None
        self.last_sequence = last_sequence

    def publish(self, event: Event, *, turn_id: int) -> None:
        """Number an event and tell it to all: at once, or when the end of a turn is recorded."""
        self.last_sequence += 1
        message = to_event(event, sequence=self.last_sequence, turn_id=turn_id)
        self._untold.append(message)
        if self._recorder is not None:
            self._recorder.add(message)
        self._tell()

    def note_recorded(self, sequence: int) -> None:
        """All events up to this one are in the record."""
        self._last_recorded = sequence
        self._tell()

    async def all_told(self) -> None:
        """Wait until all is told that has happened, or never will be."""
        await self._all_told.wait()

    def fail(self, error: ServiceError) -> None:
        """The conversation cannot go on: send all listeners away, and newcomers too."""
        self._failure = error
        self._untold.clear()
        self._all_told.set()
        for listener in self._listeners:
            listener.fail(error)

    @contextmanager
    def attached(self) -> Iterator[Listener]:
        """A listener that is told every event from now on; raises ServiceError after a failure."""
        if self._failure is not None:
            raise self._failure
        listener = Listener()
        self._listeners[listener] = self.last_sequence
        try:
            yield listener
        finally:
            del self._listeners[listener]
            listener.close()

    def _tell(self) -> None:
        while self._untold and not self._is_awaited(self._untold[0]):
            message = self._untold.popleft()
            for listener, before in self._listeners.items():
                if message.sequence > before:
                    listener.put(message)
        if self._untold:
            self._all_told.clear()
        else:
            self._all_told.set()

    def _is_awaited(self, message: pb.ConversationEvent) -> bool:
        """Whether the record must have an event before anybody is told of it."""
        return (
            self._recorder is not None
            and message.WhichOneof("event") in CLOSING
            and message.sequence > self._last_recorded
        )
