"""Which conversations this process holds: the task service gives each to one replica at a time.

A replica is kept alive as a whole, so the cost grows with processes and not with conversations.
What it claimed stays its own until its lease ends; then any other replica may take it, under a new
epoch. Writes carry the epoch, so that the record refuses an owner that does not know yet.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import grpc
import structlog

from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from services.runtime.callers.caller import acting_for, current_caller
from services.runtime.callers.requests import outgoing_metadata
from services.runtime.channels.replicas import Replicas
from services.runtime.clock import since_boot
from services.runtime.failures.errors import ServiceError, from_rpc_error
from services.runtime.failures.reasons import RULES, Reason, Recovery
from services.runtime.wire import from_duration

log = structlog.get_logger(__name__)

BEAT_S = 1.0
"""Between two signs of life; the task service waits for several of them."""

BEAT_ANSWER_S = 2.0
"""How long the task service may take to take one."""

CLAIM_ANSWER_S = 10.0
"""How long it may take to answer a claim; it may be restarting."""

UNFENCED = 0
"""The epoch of claims at a task service of a version before there were any."""

Req = TypeVar("Req")
Res = TypeVar("Res")


class Claim:
    """A conversation that this process may continue until it is `lost`.

    `lost` gets the error with which its streams end; it names the owner, where that is known.
    """

    def __init__(self, replica: "Replica", *, task_id: str, epoch: int) -> None:
        self._replica = replica
        self.caller = current_caller()
        self.task_id = task_id
        self.epoch = epoch
        self.lost: asyncio.Future[ServiceError] = asyncio.get_running_loop().create_future()

    def lose(self, error: ServiceError) -> None:
        """Another replica has the conversation, as an error of the task service says."""
        if not self.lost.done():
            log.warning("conversation lost", task_id=self.task_id, reason=error.reason)
            self.lost.set_result(_elsewhere(error))

    async def confirmed(self) -> None:
        """Return when no other replica can hold the conversation; never, when it is lost.

        While the task service cannot be asked, it gives the conversation to nobody else.
        """
        await self._replica.renewed()
        if self.lost.done():
            await asyncio.get_running_loop().create_future()


class Replica:
    """This process, as the task service knows it."""

    def __init__(self, tasks: Replicas[TaskServiceStub], *, service_token: str | None) -> None:
        self._tasks = tasks
        self._service_token = service_token
        self._replica_id = str(uuid.uuid4())
        self._address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._claims: dict[str, Claim] = {}
        self._leased_until = 0.0
        """By the clock since boot, which goes on while the process is stopped."""

    def listen_at(self, address: str) -> None:
        """Note where callers reach this process; nothing is claimed before."""
        self._address.set_result(address)

    async def keep_alive(self) -> None:
        """Give signs of life until cancelled."""
        while True:
            try:
                await self._renew(BEAT_ANSWER_S)
            except ServiceError as error:
                log.warning("replica not kept alive", reason=error.reason)
            await asyncio.sleep(BEAT_S)

    async def renewed(self) -> None:
        """Return at once while the lease lasts; after it, once it has been asked for again."""
        if self._is_lapsed:
            with suppress(ServiceError):
                await self._renew(BEAT_ANSWER_S)

    @asynccontextmanager
    async def claimed(self, task_id: str) -> AsyncIterator[Claim]:
        """Hold a conversation until the block ends; raises ServiceError if another one does."""
        if self._is_lapsed:
            await self._renew(CLAIM_ANSWER_S)
        claim = Claim(self, task_id=task_id, epoch=await self._epoch(task_id))
        self._claims[task_id] = claim
        try:
            yield claim
        finally:
            del self._claims[task_id]
            if not claim.lost.done():
                await self._release(task_id, claim.epoch)

    @property
    def _is_lapsed(self) -> bool:
        return since_boot() >= self._leased_until

    async def _renew(self, within_s: float) -> None:
        """Prolong the lease; what was claimed before a lapse is claimed again first."""
        asked_at = since_boot()
        request = pb.KeepReplicaRequest(replica_id=self._replica_id, address=await self._address)
        try:
            kept = await self._ask(self._tasks.any.KeepReplica, request, within_s)
        except ServiceError as error:
            if error.reason is Reason.NOT_SUPPORTED:
                return
            raise
        if self._is_lapsed:
            await asyncio.gather(*map(self._confirm, tuple(self._claims.values())))
        self._leased_until = asked_at + from_duration(kept.lease_duration)

    async def _confirm(self, claim: Claim) -> None:
        """Claim a conversation again; one that anybody has held since is lost."""
        with acting_for(claim.caller):
            try:
                epoch = await self._epoch(claim.task_id)
            except ServiceError as error:
                if RULES[error.reason].recovery is Recovery.OUTAGE and not _is_elsewhere(error):
                    raise
                claim.lose(error)
                return
            if epoch != claim.epoch:
                claim.lose(ServiceError(Reason.CONVERSATION_MOVED, "The lease ended."))
                await self._release(claim.task_id, epoch)

    async def _epoch(self, task_id: str) -> int:
        """Claim a conversation; raises ServiceError."""
        request = pb.ClaimConversationRequest(task_id=task_id, replica_id=self._replica_id)
        try:
            claimed = await self._ask(self._tasks.any.ClaimConversation, request, CLAIM_ANSWER_S)
        except ServiceError as error:
            if error.reason is Reason.NOT_SUPPORTED:
                return UNFENCED
            raise
        return claimed.epoch

    async def _release(self, task_id: str, epoch: int) -> None:
        """Give a conversation back; if that fails, its next stream is sent here."""
        if epoch == UNFENCED:
            return
        request = pb.ReleaseConversationRequest(task_id=task_id, epoch=epoch)
        try:
            await self._ask(self._tasks.any.ReleaseConversation, request, BEAT_ANSWER_S)
        except ServiceError as error:
            log.warning("conversation not released", task_id=task_id, reason=error.reason)

    async def _ask(
        self, method: "grpc.aio.UnaryUnaryMultiCallable[Req, Res]", request: Req, within_s: float
    ) -> Res:
        try:
            return await method(
                request, timeout=within_s, metadata=outgoing_metadata(self._service_token)
            )
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None


@asynccontextmanager
async def kept_alive(
    tasks: Replicas[TaskServiceStub], *, service_token: str | None
) -> AsyncIterator[Replica]:
    """This process as a replica, alive until the block is left."""
    replica = Replica(tasks, service_token=service_token)
    beating = asyncio.create_task(replica.keep_alive())
    try:
        yield replica
    finally:
        beating.cancel()
        await asyncio.wait({beating})


def _is_elsewhere(error: ServiceError) -> bool:
    return error.reason is Reason.CONVERSATION_ELSEWHERE


def _elsewhere(error: ServiceError) -> ServiceError:
    """Return what the streams of a lost conversation end with."""
    if _is_elsewhere(error):
        return error
    return ServiceError(
        Reason.CONVERSATION_ELSEWHERE,
        "task_id: another replica holds the conversation now",
        violations=(),
        retry_after_s=error.retry_after_s,
        **error.metadata,
    )
