"""Events are written in order, in batches, until they are there or can never be."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from digitalhuman.conversation.v1 import conversation_pb2
from digitalhuman.task.v1 import task_pb2 as pb
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.runtime.serving.server import MAX_MESSAGE_BYTES
from services.speech.conversation.record import (
    BATCH_EVENTS,
    BATCH_S,
    PARTIAL_S,
    WAITING_EVENTS,
    Record,
)
from tests.support.virtual_time import in_virtual_time


class Store:
    """Takes batches, unless it is to fail."""

    def __init__(self, *failures: Reason) -> None:
        self.failures = list(failures)
        self.batches: list[list[int]] = []
        self.appending = asyncio.Event()

    async def append(self, request: pb.AppendEventsRequest) -> None:
        """Take a batch."""
        self.appending.set()
        await asyncio.sleep(0.005)
        if self.failures:
            raise ServiceError(self.failures.pop(0), "no")
        self.batches.append([event.sequence for event in request.events])


@asynccontextmanager
async def written(store: Store) -> AsyncIterator[Record]:
    """A record that writes to a store."""
    record = Record(task_id="task", epoch=3, append=store.append)
    writing = asyncio.create_task(record.write())
    try:
        yield record
    finally:
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing


def delta(sequence: int) -> conversation_pb2.ConversationEvent:
    """Return an event in the middle of a turn."""
    return conversation_pb2.ConversationEvent(
        sequence=sequence, reply_updated=conversation_pb2.ReplyUpdated(delta="a")
    )


def words(sequence: int, *, is_final: bool = False) -> conversation_pb2.ConversationEvent:
    """Return what was heard of the user so far."""
    heard = conversation_pb2.TranscriptUpdated(text="a", is_final=is_final)
    return conversation_pb2.ConversationEvent(sequence=sequence, transcript_updated=heard)


def finished(sequence: int) -> conversation_pb2.ConversationEvent:
    """Return an event that ends a turn."""
    return conversation_pb2.ConversationEvent(
        sequence=sequence, turn_finished=conversation_pb2.TurnFinished()
    )


@in_virtual_time
async def test_a_batch_is_never_too_large_for_a_message() -> None:
    store = Store()
    long_text = "word " * 40_000
    async with written(store) as record:
        for sequence in range(1, 11):
            event = delta(sequence)
            event.reply_updated.delta = long_text
            record.add(event)
        await record.flush()
    assert [sequence for batch in store.batches for sequence in batch] == list(range(1, 11))
    assert max(len(batch) for batch in store.batches) * len(long_text) < MAX_MESSAGE_BYTES


@in_virtual_time
async def test_events_of_a_moment_are_one_batch() -> None:
    store = Store()
    async with written(store) as record:
        for sequence in range(1, 6):
            record.add(delta(sequence))
            await asyncio.sleep(BATCH_S / 10)
        await asyncio.sleep(BATCH_S)
        assert store.batches == [[1, 2, 3, 4, 5]]


@in_virtual_time
async def test_partial_words_wait_for_what_lasts() -> None:
    store = Store()
    async with written(store) as record:
        record.add(words(1))
        await asyncio.sleep(BATCH_S * 2)
        assert not store.batches
        record.add(words(2, is_final=True))
        await asyncio.sleep(BATCH_S * 1.5)
        assert store.batches == [[1, 2]]


@in_virtual_time
async def test_partial_words_do_not_wait_for_ever() -> None:
    store = Store()
    async with written(store) as record:
        for sequence in range(1, 4):
            record.add(words(sequence))
            await asyncio.sleep(BATCH_S)
        await asyncio.sleep(PARTIAL_S)
        assert store.batches == [[1, 2, 3]]


@pytest.mark.parametrize("is_flushed", [True, False])
@in_virtual_time
async def test_partial_words_are_written_at_once_when_nothing_follows(is_flushed: bool) -> None:
    store = Store()
    async with written(store) as record:
        record.add(words(1))
        if is_flushed:
            await record.flush()
        else:
            record.add(finished(2))
            await asyncio.sleep(BATCH_S / 2)
        assert store.batches[0][0] == 1


@in_virtual_time
async def test_the_end_of_a_turn_does_not_wait() -> None:
    store = Store()
    async with written(store) as record:
        record.add(delta(1))
        record.add(finished(2))
        await asyncio.sleep(BATCH_S / 2)
        assert store.batches == [[1, 2]]


@in_virtual_time
async def test_a_flush_waits_until_all_is_written() -> None:
    store = Store()
    async with written(store) as record:
        await record.flush()
        for sequence in range(1, BATCH_EVENTS + 2):
            record.add(delta(sequence))
        await record.flush()
        assert [len(batch) for batch in store.batches] == [BATCH_EVENTS, 1]


@in_virtual_time
async def test_a_failure_that_passes_loses_nothing() -> None:
    store = Store(*[Reason.DEPENDENCY_UNAVAILABLE] * 10)
    async with written(store) as record:
        record.add(delta(1))
        await asyncio.sleep(1)
        record.add(delta(2))
        await record.flush()
        assert store.batches == [[1, 2]]


@pytest.mark.parametrize("reason", [Reason.TASK_ENDED, Reason.EVENTS_OUT_OF_ORDER])
@in_virtual_time
async def test_a_failure_that_stays_is_reported_once(reason: Reason) -> None:
    losses: list[ServiceError] = []
    async with written(Store(reason)) as record:
        record.when_lost(losses.append)
        record.add(delta(1))
        with pytest.raises(ServiceError):
            await record.flush()
        record.add(delta(2))
        with pytest.raises(ServiceError):
            await record.flush()
    assert [error.reason for error in losses] == [reason]


@in_virtual_time
async def test_what_waits_is_bounded() -> None:
    losses: list[ServiceError] = []
    record = Record(task_id="task", epoch=3, append=Store().append)
    record.when_lost(losses.append)
    for sequence in range(1, WAITING_EVENTS + 2):
        record.add(delta(sequence))
    assert [error.reason for error in losses] == [Reason.DEPENDENCY_UNAVAILABLE]


@in_virtual_time
async def test_a_record_that_overflows_while_it_is_written_is_lost() -> None:
    store = Store()
    record = Record(task_id="task", epoch=3, append=store.append)
    losses: list[ServiceError] = []
    record.when_lost(losses.append)
    writing = asyncio.create_task(record.write())
    record.add(finished(1))
    await store.appending.wait()
    for sequence in range(2, WAITING_EVENTS + 2):
        record.add(delta(sequence))
    await writing
    assert [error.reason for error in losses] == [Reason.DEPENDENCY_UNAVAILABLE]
    with pytest.raises(ServiceError):
        await record.flush()
