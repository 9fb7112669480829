"""What is said in tasks: each call is one transaction, or shares one with other appends."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from services.runtime.callers.caller import current_caller
from services.task.domain.conversation import (
    Conversation,
    ConversationEvent,
    OpenTurn,
    RecordedTurn,
)
from services.task.domain.tasks import Clock
from services.task.jobs import Jobs
from services.task.journal import owners, record, tables
from services.task.journal.appending import Append, AppendQueue
from services.task.journal.database import Database, Transaction


class SqlConversations:
    """Keeps conversations in the journal's database."""

    def __init__(self, database: Database, clock: Clock, jobs: Jobs) -> None:
        self._database = database
        self._appends = AppendQueue(database, clock, jobs)

    async def append(
        self,
        task_id: str,
        events: Sequence[ConversationEvent],
        *,
        closing_grace: timedelta,
        epoch: int | None = None,
    ) -> int:
        """Append events to a conversation, skipping those it has; return its last sequence."""
        return await self._appends.append(
            Append(
                task_id=task_id,
                caller=current_caller(),
                events=events,
                closing_grace=closing_grace,
                epoch=epoch,
            )
        )

    async def read(
        self, task_id: str, *, after_turn_id: int, after_sequence: int | None
    ) -> Conversation:
        """Return a page of what was said in a task."""

        async def work(transaction: Transaction) -> Conversation:
            await tables.get(transaction, task_id)
            return await record.conversation(
                transaction, task_id, after_turn_id=after_turn_id, after_sequence=after_sequence
            )

        return await self._database.read(work)

    async def turn(self, task_id: str, turn_id: int) -> RecordedTurn:
        """Return a turn of a task."""

        async def work(transaction: Transaction) -> RecordedTurn:
            await tables.get(transaction, task_id)
            return await record.turn(transaction, task_id, turn_id)

        return await self._database.read(work)

    async def abandoned_turns(self, *, ended_before: datetime, limit: int) -> Sequence[OpenTurn]:
        """Return turns that nobody will close: their tasks have ended."""
        return await self._database.read(
            partial(owners.abandoned_turns, ended_before=ended_before, limit=limit)
        )

    async def last_turn_time(self, task_id: str) -> datetime | None:
        """Return when the last turn of a task's conversation ended, or began if it still runs."""
        return await self._database.read(partial(record.last_turn_time, task_id=task_id))

    async def claim(self, task_id: str, replica_id: str) -> int:
        """Make a replica the owner of a task's conversation; return the epoch."""
        return await self._database.transact(
            partial(owners.claim, task_id=task_id, replica_id=replica_id)
        )

    async def release(self, task_id: str, epoch: int) -> None:
        """Give a conversation back, unless it has moved."""
        await self._database.transact(partial(owners.release, task_id=task_id, epoch=epoch))
