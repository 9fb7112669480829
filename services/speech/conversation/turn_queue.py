"""The turns that wait to be held."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.runtime.telemetry import tracing
from services.speech.conversation.reply import ReplyVoice
from services.speech.conversation.turn_input import TurnInput
from services.speech.playback.ports import Speaker

WAITING_TURNS = 16
REMEMBERED_REQUESTS = 256
"""A request is repeated a moment after it was first sent, so the latest ones are enough."""


Permit: TypeAlias = Callable[[], Awaitable[None]]
"""Returns when a turn may be held."""


async def always() -> None:
    """Permit every turn."""


def _future() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedTurn:
    """A turn that is to be held: `cut` ends its reply, `over` is done after it.

    It is held in the task of the conversation, and traced below the stream that asked for it.
    """

    turn_input: TurnInput
    reply_voice: ReplyVoice
    speaker: Speaker
    requested_in: tracing.Place = field(default_factory=tracing.current)
    cut: asyncio.Future[None] = field(default_factory=_future)
    over: asyncio.Future[None] = field(default_factory=_future)

    @property
    def is_interruptible(self) -> bool:
        """Whether the user, or other words to say, may end the reply."""
        return self.turn_input.is_interruptible

    def interrupt(self) -> None:
        """End the reply, if it may be."""
        if self.is_interruptible:
            self.cut_off()

    def cut_off(self) -> None:
        """End the reply."""
        if not self.cut.done():
            self.cut.set_result(None)


class TurnQueue:
    """Urgent turns come first, patient ones when none of those waits.

    A request is admitted once: a second one with its id is the first one again.
    """

    def __init__(self, request_ids: Sequence[str] = ()) -> None:
        self._request_ids = deque(request_ids, maxlen=REMEMBERED_REQUESTS)
        self._urgent: deque[QueuedTurn] = deque()
        self._patient: deque[QueuedTurn] = deque()
        self._added = asyncio.Event()

    def __len__(self) -> int:
        return len(self._urgent) + len(self._patient)

    def __iter__(self) -> Iterator[QueuedTurn]:
        yield from self._urgent
        yield from self._patient

    @property
    def urgent_count(self) -> int:
        """How many turns come before one that is added as urgent now."""
        return len(self._urgent)

    def admit(self, request_id: str) -> bool:
        """Let one more turn wait; False for a request that was admitted before.

        Raises ServiceError when too many wait.
        """
        if request_id in self._request_ids:
            return False
        if len(self) >= WAITING_TURNS:
            raise ServiceError(
                Reason.RATE_LIMITED,
                f"request: at most {WAITING_TURNS} turns may wait to be held",
                retry_after_s=1.0,
            )
        if request_id:
            self._request_ids.append(request_id)
        return True

    def add_urgent(self, turn: QueuedTurn) -> None:
        """Add a turn behind the urgent ones."""
        self._urgent.append(turn)
        self._added.set()

    def add_patient(self, turn: QueuedTurn) -> None:
        """Add a turn behind all others."""
        self._patient.append(turn)
        self._added.set()

    def add_first(self, turn: QueuedTurn) -> None:
        """Add a turn before all others."""
        self._urgent.appendleft(turn)
        self._added.set()

    def cut_urgent(self) -> None:
        """End the replies of the urgent turns before they begin; the user's words are taken."""
        for turn in self._urgent:
            turn.interrupt()

    def drop(self, turn: QueuedTurn) -> bool:
        """Drop a turn if it is a patient one that waits."""
        if turn not in self._patient:
            return False
        self._patient.remove(turn)
        turn.over.set_result(None)
        return True

    def drop_patient(self) -> None:
        """Drop the patient turns that may be interrupted."""
        for turn in tuple(self._patient):
            if turn.is_interruptible:
                self.drop(turn)

    async def next(self, permit: Permit = always) -> QueuedTurn:
        """Remove and return the first turn; waits for one, and then for the permit to hold it."""
        while True:
            while not len(self):
                self._added.clear()
                await self._added.wait()
            await permit()
            if len(self):  # What waited may have been dropped meanwhile.
                return (self._urgent or self._patient).popleft()
