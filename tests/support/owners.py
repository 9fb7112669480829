"""Which replica owns which conversation, by the rules of the task service's contract."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from digitalhuman.conversation.v1.conversation_pb2 import ConversationEvent
from digitalhuman.task.v1 import task_pb2 as pb
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.runtime.wire import to_duration


@dataclass(slots=True)
class _Conversation:
    owner: str = ""
    epoch: int = 0


@dataclass(slots=True, kw_only=True)
class Owners:
    """Keeps replicas and conversations in memory."""

    lease_s: float = 4.0
    addresses: dict[str, str] = field(default_factory=dict)
    """By the id of the replica."""
    _expire_at: dict[str, float] = field(default_factory=dict)
    _conversations: dict[str, _Conversation] = field(default_factory=dict)

    def keep(self, request: pb.KeepReplicaRequest) -> pb.KeepReplicaResponse:
        """Prolong a replica's lease."""
        for replica_id, address in tuple(self.addresses.items()):
            if address == request.address and replica_id != request.replica_id:
                self.expire(replica_id)
        self.addresses[request.replica_id] = request.address
        self._expire_at[request.replica_id] = _now() + self.lease_s
        return pb.KeepReplicaResponse(lease_duration=to_duration(self.lease_s))

    def expire(self, replica_id: str) -> None:
        """End a replica's lease."""
        self.addresses.pop(replica_id)
        self._expire_at.pop(replica_id)

    def claim(self, request: pb.ClaimConversationRequest) -> pb.ClaimConversationResponse:
        """Give a conversation to a replica, unless another one holds it."""
        conversation = self._conversations.setdefault(request.task_id, _Conversation())
        if conversation.owner != request.replica_id:
            if left_s := self._left_s(conversation.owner):
                raise ServiceError(
                    Reason.CONVERSATION_ELSEWHERE,
                    "task_id: another replica holds the conversation",
                    retry_after_s=left_s,
                    owner_address=self.addresses[conversation.owner],
                )
            conversation.owner = request.replica_id
            conversation.epoch += 1
        return pb.ClaimConversationResponse(epoch=conversation.epoch)

    def release(self, request: pb.ReleaseConversationRequest) -> pb.ReleaseConversationResponse:
        """Take a conversation back."""
        conversation = self._conversations[request.task_id]
        if conversation.epoch == request.epoch:
            conversation.owner = ""
        return pb.ReleaseConversationResponse()

    def owner_of(self, task_id: str) -> str:
        """Return the address of a conversation's owner, empty without one."""
        conversation = self._conversations.get(task_id, _Conversation())
        is_held = self._left_s(conversation.owner) > 0
        return self.addresses[conversation.owner] if is_held else ""

    def check(self, request: pb.AppendEventsRequest, recorded: Sequence[ConversationEvent]) -> None:
        """Refuse what a former owner writes, and what contradicts the record."""
        epoch = self._conversations.get(request.task_id, _Conversation()).epoch
        is_stale = request.epoch != 0 and request.epoch != epoch
        is_other = any(
            event.sequence <= len(recorded) and recorded[event.sequence - 1] != event
            for event in request.events
        )
        if is_stale or is_other:
            owner = self.owner_of(request.task_id)
            raise ServiceError(
                Reason.CONVERSATION_MOVED,
                "epoch: another replica holds the conversation",
                violations=(),
                retry_after_s=None,
                **({"owner_address": owner} if owner else {}),
            )

    def _left_s(self, replica_id: str) -> float:
        return max(0.0, self._expire_at.get(replica_id, 0.0) - _now())


def _now() -> float:
    return asyncio.get_running_loop().time()
