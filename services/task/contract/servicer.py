"""The task service's gRPC contract on top of its life cycle and journal."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, TypeAlias

import grpc

from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceServicer
from services.runtime.callers.caller import acting_for, current_caller, of_tenant
from services.runtime.callers.tenants import Tenants
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.runtime.wire import to_duration
from services.task import event_wire
from services.task.contract import facts_wire, pages, usage_wire, wire
from services.task.domain.tasks import Clock, Task
from services.task.jobs import Jobs
from services.task.lifecycle.requests import LifeCycle
from services.task.ports.conversations import CLOSING_GRACE
from services.task.ports.journal import Journal
from services.task.ports.logs import Notifier, Snapshot
from services.task.ports.replicas import LEASE_S, Replica
from services.task.reconciliation.ends import Ends
from services.task.reconciliation.presence import Presence
from services.task.reconciliation.reconciler import Reconciler
from services.task.watch import watch

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

DEFAULT_PAGE_SIZE = 50
PART_S = 5.0
"""How long EraseUser works before it answers, where that is wanted: callers do not wait forever."""

DEFAULT_USAGE_PAGE_SIZE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """How long a task lasts and idles unless its creator says, and at most if the creator does."""

    usual: timedelta
    usual_idle: timedelta
    longest: timedelta


class TaskServicer(TaskServiceServicer):
    """Answers calls; failures are raised as ServiceError."""

    def __init__(
        self,
        *,
        journal: Journal,
        lifecycle: LifeCycle,
        notifier: Notifier,
        clock: Clock,
        durations: Durations,
        tenants: Tenants,
        presence: Presence,
        ends: Ends,
        reconciler: Reconciler,
        jobs: Jobs,
    ) -> None:
        self._journal = journal
        self._lifecycle = lifecycle
        self._notifier = notifier
        self._clock = clock
        self._durations = durations
        self._tenants = tenants
        self._presence = presence
        self._ends = ends
        self._reconciler = reconciler
        self._jobs = jobs

    async def CreateTask(
        self, request: pb.CreateTaskRequest, context: Context
    ) -> pb.CreateTaskResponse:
        """Create a task and order its avatar."""
        longest = self._longest()
        wire.check_durations(request, longest)
        facts_wire.check_client_tools(request.facts)
        await facts_wire.check_history(request.facts, self._journal.tasks)
        task, is_replayed = await self._lifecycle.create(
            wire.from_create_request(
                request,
                max_duration=min(self._durations.usual, longest),
                max_idle_duration=self._durations.usual_idle,
                now=self._clock(),
            ),
            wire.from_request_id(request),
            facts_wire.from_call_facts(request.facts),
        )
        return pb.CreateTaskResponse(task=wire.to_task(task, self._clock()), replayed=is_replayed)

    async def FindCreatedTask(
        self, request: pb.FindCreatedTaskRequest, context: Context
    ) -> pb.FindCreatedTaskResponse:
        """Return the task that an earlier CreateTask created."""
        task = await self._journal.tasks.find_created(wire.from_request_id(request.request))
        return pb.FindCreatedTaskResponse(task=wire.to_task(task, self._clock()))

    async def ClaimTask(
        self, request: pb.ClaimTaskRequest, context: Context
    ) -> pb.ClaimTaskResponse:
        """Claim a task, so that it is not stopped."""
        task = await self._lifecycle.claim(request.task_id)
        self._note(task)
        return pb.ClaimTaskResponse(task=wire.to_task(task, self._clock()))

    async def GetTask(self, request: pb.GetTaskRequest, context: Context) -> pb.GetTaskResponse:
        """Return a task."""
        if not request.with_facts:
            task = await self._journal.tasks.get(request.task_id)
            self._note(task)
            return pb.GetTaskResponse(task=wire.to_task(task, self._clock()))
        task, encoded = await self._journal.tasks.get_with_facts(request.task_id)
        self._note(task)
        return pb.GetTaskResponse(
            task=wire.to_task(task, self._clock()), facts=facts_wire.to_call_facts(encoded)
        )

    async def UpdateTask(
        self, request: pb.UpdateTaskRequest, context: Context
    ) -> pb.UpdateTaskResponse:
        """Change what is known of a call."""
        facts_wire.check_client_tools(request.facts)
        task = await self._journal.tasks.change_facts(
            request.task_id, partial(facts_wire.changed, update=request.facts)
        )
        self._note(task)
        return pb.UpdateTaskResponse(task=wire.to_task(task, self._clock()))

    async def ListTasks(
        self, request: pb.ListTasksRequest, context: Context
    ) -> pb.ListTasksResponse:
        """List tasks, newest first."""
        wanted = wire.from_list_request(request)
        before = pages.decode(request.page_token, wanted) if request.page_token else ""
        size = request.page_size or DEFAULT_PAGE_SIZE
        # One more than fits the page shows whether another follows.
        found = await self._journal.search.page(wanted, before=before, size=size + 1)
        now = self._clock()
        return pb.ListTasksResponse(
            tasks=[wire.to_task(task, now) for task in found[:size]],
            next_page_token=pages.encode(found[size - 1].task_id, wanted)
            if len(found) > size
            else "",
        )

    async def StopTask(self, request: pb.StopTaskRequest, context: Context) -> pb.StopTaskResponse:
        """Stop a task."""
        task, is_replayed = await self._lifecycle.stop(
            request.task_id, wire.from_stop_reason(request.reason), wire.from_request_id(request)
        )
        return pb.StopTaskResponse(task=wire.to_task(task, self._clock()), replayed=is_replayed)

    async def WatchTask(
        self, request: pb.WatchTaskRequest, context: Context
    ) -> AsyncIterator[pb.WatchTaskResponse]:
        """Send a task as it stands, then its events."""
        after = request.after_sequence if request.HasField("after_sequence") else None
        updates = watch(self._journal.logs, self._notifier, request.task_id, after)
        async with aclosing(updates):
            with ExitStack() as present:
                async for update in updates:
                    if isinstance(update, Snapshot):
                        present.enter_context(self._presence.watching(update.task))
                    yield wire.to_update(update, self._clock())

    async def RefreshTask(
        self, request: pb.RefreshTaskRequest, context: Context
    ) -> pb.RefreshTaskResponse:
        """Ask the cloud for a task's actual state now."""
        if request.WhichOneof("target") == "avatar_id":
            task = await self._refresh_avatar(request.avatar_id)
        else:
            task = await self._lifecycle.refresh(request.task_id)
        self._note(task)
        return pb.RefreshTaskResponse(task=wire.to_task(task, self._clock()))

    async def _refresh_avatar(self, avatar_id: str) -> Task:
        """Refresh the task of an avatar, whosever it is: the cloud's callbacks name no tenant.

        Only a caller who may see it learns of it. Raises ServiceError with TASK_NOT_FOUND.
        """
        task = await self._journal.search.of_avatar(avatar_id)
        if task is not None:
            with acting_for(of_tenant(task.tenant_id)):
                task = await self._lifecycle.refresh(task.task_id)
        if task is None or not task.is_seen_by(current_caller()):
            raise ServiceError(
                Reason.TASK_NOT_FOUND, "avatar_id: no task has this avatar", avatar_id=avatar_id
            )
        return task

    async def KeepReplica(
        self, request: pb.KeepReplicaRequest, context: Context
    ) -> pb.KeepReplicaResponse:
        """Keep a replica alive."""
        await self._journal.replicas.keep(
            Replica(replica_id=request.replica_id, address=request.address)
        )
        return pb.KeepReplicaResponse(lease_duration=to_duration(LEASE_S))

    async def ClaimConversation(
        self, request: pb.ClaimConversationRequest, context: Context
    ) -> pb.ClaimConversationResponse:
        """Make a replica the owner of a conversation."""
        epoch = await self._journal.conversations.claim(request.task_id, request.replica_id)
        return pb.ClaimConversationResponse(epoch=epoch)

    async def ReleaseConversation(
        self, request: pb.ReleaseConversationRequest, context: Context
    ) -> pb.ReleaseConversationResponse:
        """Give a conversation back."""
        await self._journal.conversations.release(request.task_id, request.epoch)
        return pb.ReleaseConversationResponse()

    async def AppendEvents(
        self, request: pb.AppendEventsRequest, context: Context
    ) -> pb.AppendEventsResponse:
        """Append to a task's conversation."""
        last_sequence = await self._journal.conversations.append(
            request.task_id,
            event_wire.from_events(request.events, self._clock()),
            closing_grace=CLOSING_GRACE,
            epoch=request.epoch or None,
        )
        return pb.AppendEventsResponse(last_sequence=last_sequence)

    async def GetConversation(
        self, request: pb.GetConversationRequest, context: Context
    ) -> pb.GetConversationResponse:
        """Return a page of what was said in a task."""
        self._presence.note([request.task_id])
        conversation = await self._journal.conversations.read(
            request.task_id,
            after_turn_id=request.after_turn_id,
            after_sequence=request.after_sequence if request.HasField("after_sequence") else None,
        )
        return pb.GetConversationResponse(
            turns=[wire.to_turn(turn) for turn in conversation.turns],
            last_sequence=conversation.last_sequence,
            events=[event_wire.to_conversation_event(payload) for payload in conversation.events],
            has_more=conversation.has_more,
        )

    async def GetTurn(self, request: pb.GetTurnRequest, context: Context) -> pb.GetTurnResponse:
        """Return a turn with its full ledger."""
        self._presence.note([request.task_id])
        recorded = await self._journal.conversations.turn(request.task_id, request.turn_id)
        return wire.to_recorded_turn(recorded)

    async def DeleteConversation(
        self, request: pb.DeleteConversationRequest, context: Context
    ) -> pb.DeleteConversationResponse:
        """Remove what was said in a task that has ended."""
        while await self._journal.erasure.erase(request.task_id):
            pass
        return pb.DeleteConversationResponse()

    async def EraseUser(
        self, request: pb.EraseUserRequest, context: Context
    ) -> pb.EraseUserResponse:
        """Remove all that is kept of a user, or a part of it."""
        loop = asyncio.get_running_loop()
        answer_at = loop.time() + PART_S
        removed = 0
        while True:
            removal = await self._journal.erasure.forget_user(request.user_id)
            removed += removal.tasks
            is_time = request.in_parts and loop.time() >= answer_at
            if is_time or not removal.has_more:
                return pb.EraseUserResponse(tasks=removed, has_more=removal.has_more)

    async def NoteClients(
        self, request: pb.NoteClientsRequest, context: Context
    ) -> pb.NoteClientsResponse:
        """Note that the clients of tasks are there."""
        self._presence.note(request.task_ids)
        return pb.NoteClientsResponse()

    async def ListUsage(
        self, request: pb.ListUsageRequest, context: Context
    ) -> pb.ListUsageResponse:
        """Report what tasks cost."""
        wanted = usage_wire.from_usage_request(request)
        after = usage_wire.from_page_token(request.page_token, wanted)
        size = request.page_size or DEFAULT_USAGE_PAGE_SIZE
        rows = await self._journal.usage.report(wanted, after=after, size=size + 1)
        return usage_wire.to_usage_page(rows, wanted, size)

    async def Reconcile(
        self, request: pb.ReconcileRequest, context: Context
    ) -> pb.ReconcileResponse:
        """Report what differs between tasks and the cloud, and settle it unless told otherwise."""
        findings = (*await self._reconciler.find(), *await self._ends.find())
        if not request.dry_run:
            self._jobs.begin(self._settle(), name="settle")
        caller = current_caller()
        return pb.ReconcileResponse(
            findings=[usage_wire.to_finding(each) for each in findings if each.is_seen_by(caller)]
        )

    async def _settle(self) -> None:
        await self._ends.carry_out()
        await self._reconciler.settle()

    def _longest(self) -> timedelta:
        """Return how long a task of the current caller's tenant may last."""
        quota = self._tenants.quota_of(current_caller().tenant_id)
        if quota.longest_task_s is None:
            return self._durations.longest
        return min(self._durations.longest, timedelta(seconds=quota.longest_task_s))

    def _note(self, task: Task) -> None:
        if task.max_absence is not None:
            self._presence.note([task.task_id])
