"""The open conversations of a process: one for each task, however many streams take part."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog

from digitalhuman.conversation.v1 import conversation_pb2
from digitalhuman.task.v1 import task_pb2
from services.runtime.callers.caller import Caller, acting_for, current_caller, of_tenant
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.speech.conversation.abandoned import Abandoned, CutOff
from services.speech.conversation.conversation import Conversation, held
from services.speech.conversation.event_log import EventLog
from services.speech.conversation.facts_of_call import FactsOfCall
from services.speech.conversation.ownership import Claim, Replica
from services.speech.conversation.record import Record
from services.speech.conversation.talk_rate import TalkRate
from services.speech.conversation.task_records import TASK_ANSWER_S, TaskRecords
from services.speech.conversation.turn import StagesOf
from services.speech.dialogue.replies import Exchange, History
from services.speech.telemetry.metrics import CONVERSATIONS
from services.speech.tools.calls import Calls

log = structlog.get_logger(__name__)

TASK_CHECK_S = 10.0
"""How often it is checked whether the tasks of open conversations still run."""

DRAIN_S = 10.0
"""How long running turns may still take when the process is to end."""

GIVEN_BACK_S = 3.0
"""How long conversations may take to be given back once their streams have ended."""

_OVER = frozenset({Reason.TASK_ENDED, Reason.TASK_NOT_FOUND})


@dataclass(frozen=True, slots=True, kw_only=True)
class _RecordedEvents:
    """The past events of a conversation, which are written a moment after they happen."""

    task_id: str
    records: TaskRecords
    record: Record

    async def events_after(self, sequence: int) -> Sequence[conversation_pb2.ConversationEvent]:
        async with asyncio.timeout(TASK_ANSWER_S):
            await self.record.flush()
        return await self.records.events_after(self.task_id, sequence)


@dataclass(slots=True, kw_only=True)
class _Entry:
    """A conversation that can be joined, and the number of its streams.

    Whoever joins has found the task, so it is of their tenant.
    """

    tenant: Caller
    opened: asyncio.Future[Conversation]
    streams: int = 0
    joined: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def conversation(self) -> Conversation | None:
        """The conversation, if it was opened."""
        is_open = self.opened.done() and not self.opened.cancelled()
        return self.opened.result() if is_open and not self.opened.exception() else None


class Conversations:
    """Opens a conversation for its first stream; it goes on until its last turn is over."""

    def __init__(
        self,
        *,
        stages: StagesOf,
        records: TaskRecords,
        replica: Replica,
        cut_off: CutOff,
        talk_rate: TalkRate,
    ) -> None:
        self._stages = stages
        self._records = records
        self._replica = replica
        self._cut_off = cut_off
        self._talk_rate = talk_rate
        self._entries: dict[str, _Entry] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        """By task; one without an entry is over, and its end is being written."""
        self._draining = asyncio.Event()

    @asynccontextmanager
    async def joined(self, task_id: str) -> AsyncIterator[Conversation]:
        """Take part in a task's conversation, or in one of one's own; raises ServiceError."""
        self._check_drain(self._entries.get(task_id))
        if not task_id:
            async with self._private() as conversation:
                yield conversation
            return
        entry = await self._entry(task_id)
        entry.streams += 1
        entry.joined.set()
        try:
            conversation = await asyncio.shield(entry.opened)
            self._check_drain(entry)
            conversation.linger_s = None
            yield conversation
        finally:
            entry.streams -= 1
            if not entry.streams:
                entry.left.set()

    async def end_with_tasks(self, every_s: float) -> None:
        """End conversations whose tasks are over, until cancelled.

        A task ends elsewhere, and a conversation in which nobody speaks would never notice.
        """
        while True:
            await asyncio.sleep(every_s)
            for task_id, entry in tuple(self._entries.items()):
                try:
                    with acting_for(entry.tenant):
                        await self._records.on_air(task_id)
                except ServiceError as error:
                    if error.reason in _OVER and entry.conversation is not None:
                        entry.conversation.events.fail(error)

    async def drain(self, within_s: float) -> None:
        """Send all streams to other replicas, each when nobody speaks in its conversation.

        Turns that take longer are cut off. New streams are refused, unless a turn is held that they
        may be meant to end.
        """
        self._draining.set()
        deadline = asyncio.get_running_loop().time() + within_s
        running = list(self._running.values())
        await asyncio.gather(*(self._send_on(entry, deadline) for entry in self._entries.values()))
        if running:
            # Their callers have left, or have asked all they wanted; each is given back.
            await asyncio.wait(running, timeout=GIVEN_BACK_S)

    async def close(self) -> None:
        """Cut all conversations off and write what was heard."""
        running = list(self._running.values())
        for task_id in self._entries:
            self._running[task_id].cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _check_drain(self, entry: _Entry | None) -> None:
        conversation = entry.conversation if entry is not None else None
        is_busy = conversation is not None and not conversation.is_idle
        if self._draining.is_set() and not is_busy:
            raise _draining()

    async def _entry(self, task_id: str) -> _Entry:
        while task_id not in self._entries:
            closing = self._running.get(task_id)
            if closing is None:
                opened = asyncio.get_running_loop().create_future()
                # It goes on without the caller who opens it, also for other users.
                tenant = of_tenant(current_caller().tenant_id)
                self._entries[task_id] = entry = _Entry(tenant=tenant, opened=opened)
                with acting_for(tenant):
                    self._running[task_id] = asyncio.create_task(self._run(task_id, entry))
            else:
                # What is still being written is the beginning of the next conversation.
                await asyncio.wait({closing})
        return self._entries[task_id]

    async def _run(self, task_id: str, entry: _Entry) -> None:
        """Keep a conversation open while someone takes part or a turn is held."""
        try:
            async with (
                self._replica.claimed(task_id) as claim,
                self._recorded(claim) as conversation,
            ):
                entry.opened.set_result(conversation)
                await _unless(claim.lost, self._until_over(task_id, entry, conversation))
        except Exception as error:
            if not entry.opened.done():
                entry.opened.set_exception(error)
                entry.opened.exception()  # Those who waited may have left.
            elif not isinstance(error, ServiceError):
                log.exception("conversation failed unexpectedly", task_id=task_id)
        finally:
            self._entries.pop(task_id, None)
            self._running.pop(task_id)
            entry.opened.cancel()

    async def _until_over(self, task_id: str, entry: _Entry, conversation: Conversation) -> None:
        while not await self._is_over(task_id, entry, conversation):
            log.info("user came back", task_id=task_id)
        # At once: whoever comes now would join a conversation that holds no turns any more.
        del self._entries[task_id]

    async def _send_on(self, entry: _Entry, deadline: float) -> None:
        """End the streams of a conversation once its turns are over, at the deadline at last."""
        conversation = entry.conversation
        if conversation is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await conversation.at_rest()
        await conversation.cut_off()
        with suppress(TimeoutError):
            async with asyncio.timeout(TASK_ANSWER_S):
                await conversation.events.all_delivered()
        conversation.events.send_on(_draining())

    async def _is_over(self, task_id: str, entry: _Entry, conversation: Conversation) -> bool:
        """Wait until nobody takes part and no turn is held; False if somebody comes back."""
        while entry.streams or not conversation.is_idle:
            await entry.left.wait()
            entry.left.clear()
            await conversation.settled()
        if conversation.linger_s is None:
            return True
        entry.joined.clear()
        try:
            async with asyncio.timeout(conversation.linger_s):
                await entry.joined.wait()
        except TimeoutError:
            await self._records.stop(task_id, task_pb2.STOP_REASON_CLIENT_GONE)
            return True
        return False

    @asynccontextmanager
    async def _recorded(self, claim: Claim) -> AsyncIterator[Conversation]:
        task_id = claim.task_id
        recorded = await self._records.recorded(task_id)
        known = await self._records.facts(task_id)
        said_before = await self._records.said_before(known)
        async with self._records.opened(task_id, epoch=claim.epoch) as record:
            events = EventLog(
                recorder=record,
                past=_RecordedEvents(task_id=task_id, records=self._records, record=record),
                last_sequence=recorded.last_sequence,
            )
            record.when_written(events.note_recorded)
            record.when_lost(partial(_lose, claim, events))
            claim.lost.add_done_callback(lambda lost: events.fail(lost.result()))
            remembered = await self._close_abandoned(task_id, recorded.abandoned, events)
            async with Calls.open() as calls:
                conversation = Conversation(
                    events=events,
                    history=History((*said_before, *recorded.exchanges, *remembered)),
                    last_turn_id=recorded.last_turn_id,
                    stages=self._stages,
                    calls=calls,
                    facts=FactsOfCall(partial(self._records.facts, task_id), known),
                    talk_rate=self._talk_rate,
                    request_ids=recorded.request_ids,
                    permit=claim.confirmed,
                )
                log.info("conversation opened", task_id=task_id, last_turn_id=recorded.last_turn_id)
                with CONVERSATIONS.track_inprogress():
                    async with held(conversation):
                        yield conversation
        log.info("conversation closed", task_id=task_id)

    async def _close_abandoned(
        self, task_id: str, turns: Sequence[Abandoned], events: EventLog
    ) -> list[Exchange]:
        """Publish the end of turns whose process went away; return what was said in them."""
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
        async with Calls.open() as calls:
            conversation = Conversation(
                events=EventLog(recorder=None),
                history=History(),
                last_turn_id=0,
                stages=self._stages,
                calls=calls,
                facts=FactsOfCall.without_task(),
                talk_rate=self._talk_rate,
            )
            with CONVERSATIONS.track_inprogress():
                async with held(conversation):
                    yield conversation


@asynccontextmanager
async def open_conversations(
    *,
    stages: StagesOf,
    records: TaskRecords,
    replica: Replica,
    cut_off: CutOff,
    talk_rate: TalkRate,
    task_check_s: float = TASK_CHECK_S,
) -> AsyncIterator[Conversations]:
    """Conversations that all come to a clean end when the block is left."""
    conversations = Conversations(
        stages=stages, records=records, replica=replica, cut_off=cut_off, talk_rate=talk_rate
    )
    ending = asyncio.create_task(conversations.end_with_tasks(task_check_s))
    try:
        yield conversations
    finally:
        ending.cancel()
        await asyncio.wait({ending})
        await conversations.close()


@asynccontextmanager
async def draining(conversations: Conversations, *, within_s: float) -> AsyncIterator[None]:
    """Hand all conversations to other replicas when the block is left."""
    try:
        yield
    finally:
        await conversations.drain(within_s)


def _lose(claim: Claim, events: EventLog, error: ServiceError) -> None:
    """End a conversation whose record takes nothing more."""
    if error.reason is Reason.CONVERSATION_MOVED:
        claim.lose(error)
    else:
        events.fail(error)


async def _unless(lost: asyncio.Future[ServiceError], work: Coroutine[Any, Any, None]) -> None:
    """Do the work; raises the error if the conversation is lost before the work is done."""
    working = asyncio.create_task(work)
    try:
        await asyncio.wait((working, lost), return_when=asyncio.FIRST_COMPLETED)
        if lost.done():
            raise lost.result()
        working.result()
    finally:
        working.cancel()
        await asyncio.wait({working})


def _draining() -> ServiceError:
    return ServiceError(Reason.DRAINING, "This replica shuts down; another one goes on.")
