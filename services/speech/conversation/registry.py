"""The open conversations of a process: one for each task, however many streams take part."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from digitalhuman.conversation.v1 import conversation_pb2
from digitalhuman.task.v1 import task_pb2
from services.runtime.errors import ServiceError
from services.runtime.reasons import Reason
from services.speech.conversation.abandoned import Abandoned, CutOff
from services.speech.conversation.conversation import Conversation, held
from services.speech.conversation.event_log import EventLog
from services.speech.conversation.record import ANSWER_S, Record, TaskRecords
from services.speech.conversation.turn import Stages
from services.speech.dialogue.replies import Exchange, History
from services.speech.telemetry.metrics import CONVERSATIONS

log = structlog.get_logger(__name__)

TASK_CHECK_S = 10.0
"""How often it is asked whether the tasks of open conversations still run."""

_OVER = frozenset({Reason.TASK_ENDED, Reason.TASK_NOT_FOUND})


@dataclass(frozen=True, slots=True, kw_only=True)
class _RecordedPast:
    """The past of a conversation that is written down a moment after it happens."""

    task_id: str
    records: TaskRecords
    record: Record

    async def events_after(self, sequence: int) -> Sequence[conversation_pb2.ConversationEvent]:
        async with asyncio.timeout(ANSWER_S):
            await self.record.flush()
        return await self.records.events_after(self.task_id, sequence)


@dataclass(slots=True, kw_only=True)
class _Table:
    """A conversation with the number of streams at it."""

    opened: asyncio.Future[Conversation]
    streams: int = 0
    joined: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def conversation(self) -> Conversation | None:
        """What is held here, if it was opened."""
        is_open = self.opened.done() and not self.opened.cancelled()
        return self.opened.result() if is_open and not self.opened.exception() else None


class Conversations:
    """Opens a conversation for its first stream; it goes on until its last turn is over."""

    def __init__(self, *, stages: Stages, records: TaskRecords, cut_off: CutOff) -> None:
        self._stages = stages
        self._records = records
        self._cut_off = cut_off
        self._tables: dict[str, _Table] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}

    @asynccontextmanager
    async def joined(self, task_id: str) -> AsyncIterator[Conversation]:
        """Take part in a task's conversation, or in one of one's own; raises ServiceError."""
        if not task_id:
            async with self._private() as conversation:
                yield conversation
            return
        table = await self._table(task_id)
        table.streams += 1
        table.joined.set()
        try:
            conversation = await asyncio.shield(table.opened)
            conversation.linger_s = None
            yield conversation
        finally:
            table.streams -= 1
            if not table.streams:
                table.left.set()

    async def end_with_tasks(self, every_s: float) -> None:
        """End conversations whose tasks are over, until cancelled.

        A task ends elsewhere, and a conversation in which nobody speaks would never notice.
        """
        while True:
            await asyncio.sleep(every_s)
            for task_id, table in tuple(self._tables.items()):
                try:
                    await self._records.on_air(task_id)
                except ServiceError as error:
                    if error.reason in _OVER and table.conversation is not None:
                        table.conversation.events.fail(error)

    async def close(self) -> None:
        """Cut all conversations off and write down what was heard."""
        keepers = list(self._keepers.values())
        for task_id, keeper in self._keepers.items():
            # One without a table is over and writes down its end, which must not be cut short.
            if task_id in self._tables:
                keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)

    async def _table(self, task_id: str) -> _Table:
        while task_id not in self._tables:
            closing = self._keepers.get(task_id)
            if closing is None:
                opened = asyncio.get_running_loop().create_future()
                self._tables[task_id] = table = _Table(opened=opened)
                self._keepers[task_id] = asyncio.create_task(self._keep(task_id, table))
            else:
                # What it still writes down is the beginning of the next conversation.
                await asyncio.wait({closing})
        return self._tables[task_id]

    async def _keep(self, task_id: str, table: _Table) -> None:
        """Keep a conversation open while someone takes part or a turn is held."""
        try:
            async with self._recorded(task_id) as conversation:
                table.opened.set_result(conversation)
                while not await self._is_over(task_id, table, conversation):
                    log.info("user came back", task_id=task_id)
                self._tables.pop(task_id)
        except Exception as error:
            if table.opened.done():
                log.exception("conversation failed unforeseen", task_id=task_id)
            else:
                table.opened.set_exception(error)
                table.opened.exception()  # Those who waited may have gone.
        finally:
            self._tables.pop(task_id, None)
            self._keepers.pop(task_id)
            table.opened.cancel()

    async def _is_over(self, task_id: str, table: _Table, conversation: Conversation) -> bool:
        """Wait until nobody takes part and no turn is held; False if somebody comes back."""
        while table.streams or not conversation.is_idle:
            await table.left.wait()
            table.left.clear()
            await conversation.settled()
        if conversation.linger_s is None:
            return True
        table.joined.clear()
        try:
            async with asyncio.timeout(conversation.linger_s):
                await table.joined.wait()
        except TimeoutError:
            await self._records.stop(task_id, task_pb2.STOP_REASON_CLIENT_GONE)
            return True
        return False

    @asynccontextmanager
    async def _recorded(self, task_id: str) -> AsyncIterator[Conversation]:
        past = await self._records.past(task_id)
        async with self._records.opened(task_id) as record:
            events = EventLog(recorder=record, last_sequence=past.last_sequence)
            record.when_written(events.note_recorded)
            record.when_lost(events.fail)
            remembered = await self._close(task_id, past.abandoned, events)
            conversation = Conversation(
                events=events,
                past=_RecordedPast(task_id=task_id, records=self._records, record=record),
                history=History((*past.exchanges, *remembered)),
                last_turn_id=past.last_turn_id,
                stages=self._stages,
                request_ids=past.request_ids,
            )
            log.info("conversation opened", task_id=task_id, last_turn_id=past.last_turn_id)
            with CONVERSATIONS.track_inprogress():
                async with held(conversation):
                    yield conversation
        log.info("conversation closed", task_id=task_id)

    async def _close(
        self, task_id: str, turns: Sequence[Abandoned], events: EventLog
    ) -> list[Exchange]:
        """Tell that turns are over which a process took with it; return what was said in them."""
        if not turns:
            return []
        avatar_id = (await self._records.on_air(task_id)).avatar_id
        last = await self._cut_off(avatar_id)
        remembered = []
        for turn in turns:
            is_last = last is not None and last.turn_id == turn.turn_id
            failed, exchange = turn.closed(last.playback if last and is_last else None)
            events.publish(failed, turn_id=turn.turn_id)
            remembered.append(exchange)
            log.warning("turn abandoned", turn_id=turn.turn_id)
        return remembered

    @asynccontextmanager
    async def _private(self) -> AsyncIterator[Conversation]:
        conversation = Conversation(
            events=EventLog(recorder=None),
            past=None,
            history=History(),
            last_turn_id=0,
            stages=self._stages,
        )
        with CONVERSATIONS.track_inprogress():
            async with held(conversation):
                yield conversation


@asynccontextmanager
async def open_conversations(
    *, stages: Stages, records: TaskRecords, cut_off: CutOff, task_check_s: float = TASK_CHECK_S
) -> AsyncIterator[Conversations]:
    """Conversations that all come to a clean end when the block is left."""
    conversations = Conversations(stages=stages, records=records, cut_off=cut_off)
    ending = asyncio.create_task(conversations.end_with_tasks(task_check_s))
    try:
        yield conversations
    finally:
        ending.cancel()
        await asyncio.wait({ending})
        await conversations.close()
