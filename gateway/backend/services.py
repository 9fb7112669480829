"""The services behind the gateway: calls have a deadline, the request id and one error type."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc

from digitalhuman.access.v1.access_pb2_grpc import AccessServiceStub
from digitalhuman.audit.v1.audit_pb2_grpc import AuditServiceStub
from digitalhuman.avatar.v1.avatar_pb2_grpc import AvatarServiceStub
from digitalhuman.speech.v1 import speech_pb2
from digitalhuman.speech.v1.speech_pb2_grpc import SpeechServiceStub
from digitalhuman.task.v1 import task_pb2
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from digitalhuman.webhooks.v1.webhooks_pb2_grpc import WebhookServiceStub
from gateway.backend.conversing import conversing
from gateway.backend.reach import require_reach
from gateway.backend.streams import ended, responses_of
from services.runtime.callers.requests import outgoing_metadata
from services.runtime.channels.replicas import Replicas, replicas
from services.runtime.failures.errors import from_rpc_error
from services.runtime.security.identities import Identity
from services.runtime.security.tls import Tls, peer_tls

Req = TypeVar("Req", bound=Message)
Res = TypeVar("Res")

CALL_TIMEOUT_S = 15.0
HEALTH_TIMEOUT_S = 2.0
SPEECH_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Where the replicas of the services listen, as settings say."""

    task: str
    speech: str
    avatar: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """The services. Every method raises ServiceError and nothing else.

    A call that names a task beyond the ticket of the current principal is not made.
    """

    accesses: Replicas[AccessServiceStub]
    tasks: Replicas[TaskServiceStub]
    speeches: Replicas[SpeechServiceStub]
    avatars: Replicas[AvatarServiceStub]
    webhook_replicas: Replicas[WebhookServiceStub]
    audit_replicas: Replicas[AuditServiceStub]
    service_token: str | None

    @property
    def access(self) -> AccessServiceStub:
        """The stub of the access service, which any replica of the task service serves."""
        return self.accesses.any

    @property
    def task(self) -> TaskServiceStub:
        """The stub of the task service, for any replica."""
        return self.tasks.any

    @property
    def webhooks(self) -> WebhookServiceStub:
        """The stub of webhooks, which any replica of the task service serves."""
        return self.webhook_replicas.any

    @property
    def audit(self) -> AuditServiceStub:
        """The stub of the audit log, which any replica of the task service serves."""
        return self.audit_replicas.any

    @property
    def speech(self) -> SpeechServiceStub:
        """The stub of the speech service, for calls outside of conversations."""
        return self.speeches.any

    @property
    def avatar(self) -> AvatarServiceStub:
        """The stub of the avatar service, for any replica."""
        return self.avatars.any

    async def ask(self, method: "grpc.aio.UnaryUnaryMultiCallable[Req, Res]", request: Req) -> Res:
        """Return the answer of a unary call."""
        require_reach(request)
        try:
            return await method(
                request, timeout=CALL_TIMEOUT_S, metadata=outgoing_metadata(self.service_token)
            )
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error

    def converse(
        self,
        setup: speech_pb2.ConverseRequest,
        inputs: AsyncGenerator[speech_pb2.ConverseRequest, None],
        *,
        timeout_s: float | None = None,
        patience_s: float = 0.0,
    ) -> AbstractAsyncContextManager[AsyncIterator[speech_pb2.ConverseResponse]]:
        """Hold a conversation, wherever that is; see `conversing`."""
        require_reach(setup)
        return conversing(
            self.speeches,
            setup,
            inputs,
            timeout_s=timeout_s,
            patience_s=patience_s,
            service_token=self.service_token,
        )

    @asynccontextmanager
    async def watch(
        self, request: task_pb2.WatchTaskRequest
    ) -> AsyncIterator[AsyncIterator[task_pb2.WatchTaskResponse]]:
        """Watch a task until its end, or until the block is left."""
        require_reach(request)
        call = self.task.WatchTask(request, metadata=outgoing_metadata(self.service_token))
        async with ended(call), aclosing(responses_of(call)) as responses:
            yield responses

    @asynccontextmanager
    async def synthesize(
        self, request: speech_pb2.SynthesizeRequest
    ) -> AsyncIterator[AsyncIterator[speech_pb2.SynthesizeResponse]]:
        """Have a text spoken, until its end or until the block is left."""
        call = self.speech.Synthesize(
            request, timeout=SPEECH_TIMEOUT_S, metadata=outgoing_metadata(self.service_token)
        )
        async with ended(call), aclosing(responses_of(call)) as responses:
            yield responses

    async def missing(self) -> Sequence[str]:
        """Return the services of which no replica reports that it is serving."""
        services: dict[str, Replicas[Any]] = {
            "digitalhuman.task.v1.TaskService": self.tasks,
            "digitalhuman.speech.v1.SpeechService": self.speeches,
            "digitalhuman.avatar.v1.AvatarService": self.avatars,
        }
        serving = await asyncio.gather(*(_is_serving(*each) for each in services.items()))
        return [name for name, is_serving in zip(services, serving, strict=True) if not is_serving]


@asynccontextmanager
async def connecting(
    targets: Targets, *, service_token: str | None, tls: Tls | None = None
) -> AsyncIterator[Backend]:
    """Find the replicas of each service; they are connected to when first used."""
    to_task, to_speech, to_avatar = (
        peer_tls(tls, each) for each in (Identity.TASK, Identity.SPEECH, Identity.AVATAR)
    )
    async with (
        replicas(targets.task, AccessServiceStub, tls=to_task) as accesses,
        replicas(targets.task, TaskServiceStub, tls=to_task) as tasks,
        replicas(targets.speech, SpeechServiceStub, tls=to_speech) as speeches,
        replicas(targets.avatar, AvatarServiceStub, tls=to_avatar) as avatars,
        replicas(targets.task, WebhookServiceStub, tls=to_task) as webhook_replicas,
        replicas(targets.task, AuditServiceStub, tls=to_task) as audit_replicas,
    ):
        yield Backend(
            accesses=accesses,
            tasks=tasks,
            speeches=speeches,
            avatars=avatars,
            webhook_replicas=webhook_replicas,
            audit_replicas=audit_replicas,
            service_token=service_token,
        )


async def _is_serving(service: str, found: Replicas[Any]) -> bool:
    return any(await asyncio.gather(*(_serves(service, channel) for channel in found.channels)))


async def _serves(service: str, channel: grpc.aio.Channel) -> bool:
    request = health_pb2.HealthCheckRequest(service=service)
    try:
        answer = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=HEALTH_TIMEOUT_S)
    except grpc.aio.AioRpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
