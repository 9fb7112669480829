"""Recorded conversations, replayed to the task service as the speech service writes them."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import grpc

from bench.conversation.figures import PAUSE_S
from digitalhuman.conversation.v1.conversation_pb2 import ConversationEvent
from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from services.runtime.wire import from_duration, from_timestamp, to_timestamp
from services.speech.conversation.event_log import CLOSING
from services.speech.conversation.record import Record

CALL_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedTurn:
    """The events that led to a turn's end, each with its seconds after the first, and the pause."""

    events: Sequence[tuple[float, ConversationEvent]]
    seconds: float


def turns_of(recording: Sequence[ConversationEvent]) -> Sequence[RecordedTurn]:
    """Return a recording turn by turn."""
    return [_turn(each) for each in _until_closing(recording)]


@dataclass(slots=True, kw_only=True)
class Load:
    """What was done since it was last cleared."""

    events: int = 0
    turns: int = 0
    append_s: list[float] = field(default_factory=list)
    watched_events: int = 0

    def clear(self) -> None:
        """Count from now on."""
        self.events = self.turns = self.watched_events = 0
        self.append_s.clear()


class Conversations:
    """Conversations that repeat the recorded turns, each beginning with another one."""

    def __init__(self, stub: TaskServiceStub, turns: Sequence[RecordedTurn]) -> None:
        self._stub = stub
        self._turns = turns
        self.load = Load()

    @asynccontextmanager
    async def talking(self, count: int, *, watchers: int) -> AsyncIterator[None]:
        """Talk, each before so many watchers, until the block is left."""
        replica = pb.KeepReplicaRequest(replica_id=str(uuid.uuid4()), address="bench:1")
        kept = await self._keep(replica)
        task_ids = [await self._create(number) for number in range(count)]
        async with asyncio.TaskGroup() as group:
            works = [
                work
                for number, task_id in enumerate(task_ids)
                for work in (
                    self._talk(task_id, replica.replica_id, number, count),
                    *(self._watch(task_id) for _ in range(watchers)),
                )
            ]
            beat = self._beat(replica, from_duration(kept.lease_duration) / 3)
            running = [group.create_task(work) for work in (beat, *works)]
            yield
            for each in running:
                each.cancel()
        for task_id in task_ids:
            await self._stub.StopTask(pb.StopTaskRequest(task_id=task_id), timeout=CALL_S)

    @property
    def turn_s(self) -> float:
        """How long a turn takes on average, with the pause after it."""
        return sum(each.seconds for each in self._turns) / len(self._turns)

    async def _create(self, number: int) -> str:
        request = pb.CreateTaskRequest(room_id="bench", stream_id=f"bench-{number}")
        answer: pb.CreateTaskResponse = await self._stub.CreateTask(request, timeout=CALL_S)
        return answer.task.task_id

    def _turns_from(self, number: int) -> Sequence[RecordedTurn]:
        first = number % len(self._turns)
        return [*self._turns[first:], *self._turns[:first]]

    async def _keep(self, replica: pb.KeepReplicaRequest) -> pb.KeepReplicaResponse:
        answer: pb.KeepReplicaResponse = await self._stub.KeepReplica(replica, timeout=CALL_S)
        return answer

    async def _beat(self, replica: pb.KeepReplicaRequest, interval_s: float) -> None:
        """Keep the replica alive that holds all conversations."""
        while True:
            await asyncio.sleep(interval_s)
            await self._keep(replica)

    async def _talk(self, task_id: str, replica_id: str, number: int, count: int) -> None:
        claim = pb.ClaimConversationRequest(task_id=task_id, replica_id=replica_id)
        held: pb.ClaimConversationResponse = await self._stub.ClaimConversation(
            claim, timeout=CALL_S
        )

        async def append(request: pb.AppendEventsRequest) -> None:
            began = time.monotonic()
            await self._stub.AppendEvents(request, timeout=CALL_S)
            self.load.append_s.append(time.monotonic() - began)
            self.load.events += len(request.events)

        record = Record(task_id=task_id, epoch=held.epoch, append=append)
        async with asyncio.TaskGroup() as group:
            group.create_task(record.write())
            await asyncio.sleep(number / count * self.turn_s)
            await self._speak(record, self._turns_from(number))

    async def _speak(self, record: Record, turns: Sequence[RecordedTurn]) -> None:
        loop = asyncio.get_running_loop()
        begins = loop.time()
        sequence = turn_id = 0
        while True:
            for turn in turns:
                turn_id += 1
                for after_s, event in turn.events:
                    await asyncio.sleep(begins + after_s - loop.time())
                    sequence += 1
                    record.add(_again(event, sequence=sequence, turn_id=turn_id))
                self.load.turns += 1
                begins += turn.seconds
                await asyncio.sleep(begins - loop.time())

    async def _watch(self, task_id: str) -> None:
        watch = self._stub.WatchTask(pb.WatchTaskRequest(task_id=task_id))
        try:
            async for update in watch:
                self.load.watched_events += update.HasField("event")
        finally:
            watch.cancel()
            with suppress(grpc.aio.AioRpcError, asyncio.CancelledError):
                await watch.code()


def _until_closing(recording: Sequence[ConversationEvent]) -> Iterator[list[ConversationEvent]]:
    events: list[ConversationEvent] = []
    for event in recording:
        events.append(event)
        if event.WhichOneof("event") in CLOSING:
            yield events
            events = []


def _turn(events: Sequence[ConversationEvent]) -> RecordedTurn:
    times = [from_timestamp(each.event_time) for each in events]
    return RecordedTurn(
        events=[(at - times[0], each) for at, each in zip(times, events, strict=True)],
        seconds=times[-1] - times[0] + PAUSE_S,
    )


def _again(event: ConversationEvent, *, sequence: int, turn_id: int) -> ConversationEvent:
    repeated = ConversationEvent()
    repeated.CopyFrom(event)
    repeated.sequence = sequence
    repeated.event_time.CopyFrom(to_timestamp(time.time()))
    if event.turn_id:
        repeated.turn_id = turn_id
    return repeated
