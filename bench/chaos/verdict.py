"""Whether what users were told is true, and nothing runs that nobody wants."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx

from bench.chaos.account import Account
from bench.chaos.cluster import RECONCILED_S, SWEEP_S, Cluster
from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from services.task.ports.conversations import CLOSING_GRACE

_LIVE = ("CREATING", "STARTING", "STREAMING", "STOPPING")
_CLOSING = ("turn_finished", "turn_failed")
"""Events that a user gets once they are recorded; others may be told a moment before."""
_SAMPLE_S = 0.5
_TRIES = 20
_CLOSED_S = CLOSING_GRACE.total_seconds() + SWEEP_S
"""After this long the turns of an ended task are closed, whoever is left to do it."""
_SLACK_S = 20.0
"""What a loaded machine may take beyond the interval itself."""


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What is wrong, and figures."""

    violations: list[str] = field(default_factory=list)
    converged_s: float = 0.0
    leaked_s: float = 0.0
    missing: int = 0
    doubles: int = 0
    taken_back: int = 0
    """Events that a process told in its last moments and that were not recorded any more."""
    turns: int = 0
    events: int = 0


class LeakMeter:
    """Adds up how long the engine ran tasks that their users were told to be over."""

    def __init__(self, cluster: Cluster, account: Account) -> None:
        self._cluster = cluster
        self._account = account
        self.leaked_s = 0.0

    async def run(self) -> None:
        """Measure until cancelled."""
        last = time.monotonic()
        while True:
            await asyncio.sleep(_SAMPLE_S)
            try:
                tasks = await self._cluster.on_air()
            except (httpx.HTTPError, KeyError, ValueError):
                last = time.monotonic()
                continue
            now = time.monotonic()
            over = {
                task.stream_id
                for task in self._account.tasks.values()
                if task.ended_at is not None and task.ended_at < last
            }
            self.leaked_s += (now - last) * sum(each["StreamId"] in over for each in tasks)
            last = now


@asynccontextmanager
async def measuring_leaks(cluster: Cluster, account: Account) -> AsyncIterator[LeakMeter]:
    """Measure until the block is left."""
    meter = LeakMeter(cluster, account)
    running = asyncio.create_task(meter.run())
    try:
        yield meter
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


class Judge:
    """Compares the account with the record, the journal and the engine."""

    def __init__(self, cluster: Cluster, account: Account, channel: grpc.aio.Channel) -> None:
        self._cluster = cluster
        self._account = account
        self._stub: Any = TaskServiceStub(channel)
        self._verdict = Verdict()
        self._ended_at = 0.0
        self._metadata = (("authorization", f"Bearer {cluster.token}"),)

    async def judge(self) -> Verdict:
        """Wait for the reconciliation, end what is left, and compare."""
        self._verdict.violations += self._cluster.ended()
        await self._reconcile()
        await self._end_all()
        self._ended_at = time.monotonic()
        for task_id in sorted(self._account.tasks):
            await self._compare(task_id)
        self._verdict.violations += self._account.breaches
        self._verdict.doubles += sum(": twice" in each for each in self._account.breaches)
        self._verdict.missing += sum(": missing" in each for each in self._account.breaches)
        return self._verdict

    async def _reconcile(self) -> None:
        started_at = time.monotonic()
        while wrong := await self._inconsistencies():
            if time.monotonic() - started_at > RECONCILED_S + _SLACK_S:
                self._verdict.violations += wrong
                break
            await asyncio.sleep(_SAMPLE_S)
        self._verdict.converged_s = time.monotonic() - started_at

    async def _inconsistencies(self) -> list[str]:
        """Compare the engine's tasks with the journal's, and those with what users were told."""
        rows = {task.stream_id: task for task in await self._tasks()}
        streams = {each["StreamId"] for each in await self._cluster.on_air()}
        live = {
            stream for stream, task in rows.items() if pb.TaskState.Name(task.state)[11:] in _LIVE
        }
        wrong = [f"{stream} runs and nobody wants it" for stream in sorted(streams - live)]
        wrong += [
            f"{stream} is {pb.TaskState.Name(rows[stream].state)} and does not run"
            for stream in sorted(live - streams)
        ]
        wrong += [
            f"{task.task_id} is live again after its user was told that it is over"
            for task in self._account.tasks.values()
            if task.ended_at is not None and task.stream_id in live
        ]
        wrong += [
            f"{stream} is stuck in {pb.TaskState.Name(rows[stream].state)}"
            for stream in sorted(live)
            if rows[stream].state != pb.TASK_STATE_STREAMING
        ]
        return wrong

    async def _end_all(self) -> None:
        """Stop what is left; nothing may stay."""
        for task in await self._tasks():
            if pb.TaskState.Name(task.state)[11:] in _LIVE:
                await self._ask(self._stub.StopTask, pb.StopTaskRequest(task_id=task.task_id))
        started_at = time.monotonic()
        while left := [
            *(each["StreamId"] for each in await self._cluster.on_air()),
            *(
                task.stream_id
                for task in await self._tasks()
                if pb.TaskState.Name(task.state)[11:] in _LIVE
            ),
        ]:
            if time.monotonic() - started_at > RECONCILED_S + _SLACK_S:
                self._verdict.violations += [f"{stream} cannot be stopped" for stream in left]
                return
            await asyncio.sleep(_SAMPLE_S)

    async def _tasks(self) -> list[pb.Task]:
        tasks: list[pb.Task] = []
        token = ""
        while True:
            request = pb.ListTasksRequest(page_size=1000, page_token=token)
            answer = await self._ask(self._stub.ListTasks, request)
            tasks += answer.tasks
            token = answer.next_page_token
            if not token:
                return tasks

    async def _ask(self, call: Any, request: Any) -> Any:
        """Return the answer to a call that may be repeated; the service may be unfaithful."""
        for _ in range(_TRIES - 1):
            try:
                return await call(request, metadata=self._metadata)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                await asyncio.sleep(_SAMPLE_S)
        return await call(request, metadata=self._metadata)

    async def _compare(self, task_id: str) -> None:
        request = pb.GetConversationRequest(task_id=task_id, after_sequence=0)
        try:
            held = await self._closed(request)
        except grpc.aio.AioRpcError as error:
            self._verdict.violations.append(f"{task_id} has no conversation: {error.details()}")
            return
        self._compare_events(task_id, held)
        self._compare_turns(task_id, held)

    async def _closed(self, request: pb.GetConversationRequest) -> pb.GetConversationResponse:
        """Return a conversation when its turns are closed, or should be."""
        while True:
            held: pb.GetConversationResponse = await self._ask(self._stub.GetConversation, request)
            is_late = time.monotonic() - self._ended_at > _CLOSED_S + _SLACK_S
            if is_late or all(turn.HasField("finish_time") for turn in held.turns):
                return held
            await asyncio.sleep(_SAMPLE_S)

    def _compare_events(self, task_id: str, held: pb.GetConversationResponse) -> None:
        wrong = self._verdict.violations
        events = list(held.events)
        self._verdict.events += len(events)
        sequences = [event.sequence for event in events]
        if sequences != [*range(1, len(sequences) + 1)]:
            wrong.append(f"{task_id}: the record's sequences are {sequences}")
        by_sequence = {event.sequence: event for event in events}
        for seen in self._account.events:
            if seen.task_id != task_id:
                continue
            event = by_sequence.get(seen.sequence)
            kind = event and event.WhichOneof("event")
            if kind == seen.name and event and event.turn_id == seen.turn_id:
                continue
            if seen.name not in _CLOSING:
                self._verdict.taken_back += 1
            else:
                self._verdict.missing += 1
                wrong.append(f"{task_id}: {seen.name} {seen.sequence} was told, record: {kind}")
        requests: dict[str, list[int]] = defaultdict(list)
        closed: Counter[int] = Counter()
        for event in events:
            match event.WhichOneof("event"):
                case "turn_started" if event.turn_started.request_id:
                    requests[event.turn_started.request_id].append(event.turn_id)
                case "turn_finished" | "turn_failed":
                    closed[event.turn_id] += 1
        twice = [*(each for each, turns in requests.items() if len(turns) > 1)]
        twice += [f"turn {turn_id}" for turn_id, count in closed.items() if count > 1]
        self._verdict.doubles += len(twice)
        wrong += [f"{task_id}: {each} was answered twice" for each in twice]

    def _compare_turns(self, task_id: str, held: pb.GetConversationResponse) -> None:
        wrong = self._verdict.violations
        turns = {turn.turn_id: turn for turn in held.turns}
        for turn in self._account.turns:
            if turn.task_id != task_id:
                continue
            self._verdict.turns += 1
            kept = turns.get(turn.turn_id)
            if kept is None or (kept.reply_text, kept.heard_text) != (turn.reply, turn.heard):
                self._verdict.missing += 1
                wrong.append(f"{task_id}: turn {turn.turn_id} was told and is not on record")
        open_turns = [turn.turn_id for turn in held.turns if not turn.HasField("finish_time")]
        wrong += [f"{task_id}: turn {turn_id} is never closed" for turn_id in open_turns]
