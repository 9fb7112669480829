"""What is said in tasks, and which replica may add to it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from services.task.domain.conversation import (
    Conversation,
    ConversationEvent,
    OpenTurn,
    RecordedTurn,
)

CLOSING_GRACE = timedelta(seconds=30)
"""How long after the end of a task the turns that were running may still be closed."""


class Conversations(Protocol):
    """Keeps what is said in tasks: events, and the turns that follow from them."""

    async def append(
        self,
        task_id: str,
        events: Sequence[ConversationEvent],
        *,
        closing_grace: timedelta,
        epoch: int | None = None,
    ) -> int:
        """Append events to a conversation, skipping those it has; return its last sequence.

        An event makes its task claimed. A final task takes, until `closing_grace` after its end,
        only what happened before that end and the rest of turns that were running. Raises
        ServiceError: EVENTS_OUT_OF_ORDER, TASK_ENDED, and CONVERSATION_MOVED when the `epoch` is
        not that of the conversation, or another event has the sequence of one of these.
        """

    async def read(
        self, task_id: str, *, after_turn_id: int, after_sequence: int | None
    ) -> Conversation:
        """Return a page of what was said in a task after a turn and an event.

        `after_turn_id` 0 starts with the first turn; `after_sequence` None returns no events. Turns
        and events each take up to PAGE_BYTES, but at least one of each is returned if there is any.
        Raises ServiceError with SEQUENCE_OUT_OF_RANGE.
        """

    async def turn(self, task_id: str, turn_id: int) -> RecordedTurn:
        """Return a turn of a task. Raises ServiceError with TURN_NOT_FOUND."""

    async def abandoned_turns(self, *, ended_before: datetime, limit: int) -> Sequence[OpenTurn]:
        """Return turns of all tenants that nobody will close: their tasks have ended.

        Either that was before a moment, or the owner of the conversation is no longer alive.
        """

    async def last_turn_time(self, task_id: str) -> datetime | None:
        """Return when the last turn of a task's conversation ended, or began if it still runs.

        Whosever the task is.
        """

    async def claim(self, task_id: str, replica_id: str) -> int:
        """Make a replica the owner of a task's conversation; return the epoch.

        Raises ServiceError: CONVERSATION_ELSEWHERE with the owner's address while that is alive,
        DEPENDENCY_UNAVAILABLE if the replica itself is not kept alive.
        """

    async def release(self, task_id: str, epoch: int) -> None:
        """Give a conversation back, unless it has moved."""
