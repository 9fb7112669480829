"""Appends to conversations: those of many callers go in few transactions."""

import asyncio
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import TypeAlias

from services.runtime.callers.caller import Caller
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.conversation import ConversationEvent, TurnClosed
from services.task.domain.tasks import Clock, Task
from services.task.jobs import Jobs
from services.task.journal import outbox, owners, provider_usage, tables
from services.task.journal.database import Database, Transaction
from services.task.journal.rows import places, task_from_row, to_micros
from services.task.journal.turns import turn_change

MOST_AT_ONCE = 100
"""Appends in one transaction: what follows should not wait long."""
_INSERT_EVENT = (
    "INSERT INTO events (task_id, sequence, time, conversation_sequence, content)"
    " VALUES ($1, $2, $3, $4, $5)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """What a caller adds to a conversation."""

    task_id: str
    caller: Caller
    events: Sequence[ConversationEvent]
    closing_grace: timedelta
    epoch: int | None = None
    """Under which the caller holds the conversation, if it does."""


AppendOutcome: TypeAlias = int | ServiceError
"""The last sequence of the conversation, or why nothing was appended."""
_Waiting: TypeAlias = tuple[Append, "asyncio.Future[int]"]


class AppendQueue:
    """Appends that come while a transaction runs wait and go together in the next one.

    Nobody waits for company: an append that comes alone goes alone, at once.
    """

    def __init__(self, database: Database, clock: Clock, jobs: Jobs) -> None:
        self._database = database
        self._clock = clock
        self._jobs = jobs
        self._waiting: deque[_Waiting] = deque()
        self._writer: asyncio.Task[None] | None = None

    async def append(self, append: Append) -> int:
        """Return the last sequence of the conversation. Raises ServiceError."""
        outcome: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((append, outcome))
        if self._writer is None or self._writer.done():
            self._writer = self._jobs.begin(self._write(), name="append")
        return await outcome

    async def _write(self) -> None:
        while self._waiting:
            size = min(len(self._waiting), MOST_AT_ONCE)
            batch = [self._waiting.popleft() for _ in range(size)]
            if not await self._is_written(batch):
                # Whatever is wrong with one of them is no reason to refuse the others.
                for each in batch:
                    await self._is_written([each])

    async def _is_written(self, batch: Sequence[_Waiting]) -> bool:
        """Write a batch in one transaction; False if it failed as a whole and may be divided."""
        appends = [append for append, _ in batch]
        try:
            outcomes = await self._database.transact(partial(append_all, appends, self._clock))
        except ServiceError as error:
            outcomes = [error] * len(batch)
        except Exception as error:
            if len(batch) > 1:
                return False
            _set_error(batch[0][1], error)
            return True
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, ServiceError):
                _set_error(future, outcome)
            elif not future.done():
                future.set_result(outcome)
        return True


def _set_error(future: "asyncio.Future[int]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


async def append_all(
    appends: Sequence[Append], clock: Clock, transaction: Transaction
) -> Sequence[AppendOutcome]:
    """Append to conversations, and return what became of each; a refusal affects no other."""
    logs = await _logs(transaction, {each.task_id for each in appends})
    now = clock()
    outcomes = [
        await _taken(transaction, logs.get(each.task_id), each, now=now) for each in appends
    ]
    await _write_rows(transaction, logs, now=now)
    return outcomes


class _MovedError(Exception):
    """The caller no longer holds the conversation, or somebody else has written to it."""


class _Log:
    """The end of a task's log, and what is to be appended to it."""

    def __init__(
        self,
        task: Task,
        *,
        epoch: int,
        sequence: int,
        conversation_sequence: int,
        turns: Mapping[int, bool],
        is_erased: bool,
    ) -> None:
        self.task = task
        self.is_erased = is_erased
        self.epoch = epoch
        self._first_new_sequence = sequence + 1
        self.added: list[ConversationEvent] = []
        self.is_claimed = task.claim_by is None
        self.last = conversation_sequence
        self._turns = turns

    def take(self, append: Append, *, now: datetime) -> int:
        """Take what an append adds; return the last sequence. If it raises, it took nothing."""
        if append.epoch is not None and append.epoch != self.epoch:
            raise _MovedError
        last, turns = self.last, dict(self._turns)
        added: list[ConversationEvent] = []
        for event in append.events:
            if event.sequence <= last:
                continue
            if event.sequence != last + 1:
                raise ServiceError(
                    Reason.EVENTS_OUT_OF_ORDER,
                    f"events: sequence {event.sequence} does not follow {last}",
                    last_sequence=str(last),
                )
            self._check_time(append, event, turns, now=now)
            last = event.sequence
            added.append(event)
            if event.turn_id and event.change:
                was_open = turns.get(event.turn_id, True)
                turns[event.turn_id] = was_open and not isinstance(event.change, TurnClosed)
        self.last, self._turns = last, turns
        self.added += added
        # A caller who records speech knows of the task.
        self.is_claimed = True
        return last

    def numbered(self) -> Iterable[tuple[int, ConversationEvent]]:
        """Return what was added, with the sequences in the task's log."""
        return enumerate(self.added, start=self._first_new_sequence)

    def _check_time(
        self,
        append: Append,
        event: ConversationEvent,
        turns: Mapping[int, bool],
        *,
        now: datetime,
    ) -> None:
        """Raise ServiceError for an event that comes too late.

        Until a while after its end, a task takes what happened before that, and the rest of turns
        that were running.
        """
        if not self.task.state.is_final:
            return
        end = self.task.stop_time
        is_in_time = end is None or now <= end + append.closing_grace
        is_earlier = end is not None and event.time <= end
        if not (is_in_time and (is_earlier or turns.get(event.turn_id, False))):
            raise _ended(self.task)


def _ended(task: Task) -> ServiceError:
    return ServiceError(Reason.TASK_ENDED, "task_id: the task has ended", task_id=task.task_id)


async def _taken(
    transaction: Transaction, log: _Log | None, append: Append, *, now: datetime
) -> AppendOutcome:
    if log is None or not log.task.is_seen_by(append.caller):
        return tables.not_found(append.task_id)
    if log.is_erased:
        return _ended(log.task)
    try:
        await _check_recorded(transaction, log, append)
        return log.take(append, now=now)
    except _MovedError:
        return await owners.moved(transaction, append.task_id)
    except ServiceError as error:
        return error


async def _check_recorded(transaction: Transaction, log: _Log, append: Append) -> None:
    """Raise _MovedError if somebody else's event has the sequence of one of these."""
    repeated = {each.sequence: each.payload for each in append.events if each.sequence <= log.last}
    if not repeated:
        return
    recorded = await transaction.fetch(
        "SELECT conversation_sequence, content FROM events"
        " WHERE task_id = $1 AND conversation_sequence >= $2 AND conversation_sequence <= $3",
        append.task_id,
        min(repeated),
        max(repeated),
    )
    known = {row["conversation_sequence"]: row["content"] for row in recorded}
    known |= {each.sequence: each.payload for each in log.added}
    if any(known[sequence] != payload for sequence, payload in repeated.items()):
        raise _MovedError


async def _logs(transaction: Transaction, task_ids: Collection[str]) -> Mapping[str, _Log]:
    """Return the logs of tasks, which nobody else changes meanwhile."""
    wanted = f"tasks.task_id IN ({places(task_ids)})"
    locked = await transaction.fetch_for_update(
        f"SELECT * FROM tasks WHERE {wanted} ORDER BY task_id", *task_ids
    )
    # A statement of its own, as it must see what the last holder of the locks wrote.
    ends = await transaction.fetch(
        "SELECT task_id,"
        " (SELECT max(sequence) FROM events WHERE events.task_id = tasks.task_id) AS sequence,"
        " (SELECT max(conversation_sequence) FROM events WHERE events.task_id = tasks.task_id"
        "  AND conversation_sequence IS NOT NULL) AS conversation_sequence"
        f" FROM tasks WHERE {wanted}",
        *task_ids,
    )
    tasks = {row["task_id"]: task_from_row(row) for row in locked}
    epochs = {row["task_id"]: row["conversation_epoch"] for row in locked}
    erased = {row["task_id"] for row in locked if row["erased_events"]}
    return {
        row["task_id"]: _Log(
            task := tasks[row["task_id"]],
            epoch=epochs[row["task_id"]],
            sequence=row["sequence"] or 0,
            conversation_sequence=row["conversation_sequence"] or 0,
            turns=await _turns(transaction, task.task_id) if task.state.is_final else {},
            is_erased=task.task_id in erased,
        )
        for row in ends
    }


async def _turns(transaction: Transaction, task_id: str) -> Mapping[int, bool]:
    """Return the turns of a task, and whether each is still running."""
    rows = await transaction.fetch(
        "SELECT turn_id, finish_time FROM turns WHERE task_id = $1", task_id
    )
    return {row["turn_id"]: row["finish_time"] is None for row in rows}


async def _write_rows(transaction: Transaction, logs: Mapping[str, _Log], *, now: datetime) -> None:
    grown = [log for log in logs.values() if log.added]
    await transaction.execute_many(
        _INSERT_EVENT,
        [
            (log.task.task_id, sequence, to_micros(now), event.sequence, event.payload)
            for log in grown
            for sequence, event in log.numbered()
        ],
    )
    changes = [
        change
        for log in grown
        for event in log.added
        if (change := turn_change(log.task.task_id, event))
    ]
    for sql, same in groupby(changes, key=attrgetter("sql")):
        await transaction.execute_many(sql, [each.parameters for each in same])
    await provider_usage.note(
        transaction,
        [
            (log.task.task_id, event.change.providers)
            for log in grown
            for event in log.added
            if isinstance(event.change, TurnClosed)
        ],
    )
    await outbox.enqueue(
        transaction,
        [
            notice
            for log in grown
            for sequence, event in log.numbered()
            for notice in outbox.of_conversation(log.task, sequence, event)
        ],
        now=now,
    )
    claimed = [
        (log.task.task_id,)
        for log in logs.values()
        if log.is_claimed and log.task.claim_by is not None
    ]
    await transaction.execute_many("UPDATE tasks SET claim_by = NULL WHERE task_id = $1", claimed)
    for log in grown:
        transaction.announce(log.task.task_id)
