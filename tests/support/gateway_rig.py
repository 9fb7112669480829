"""A real gateway before scripted services."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import grpc
import httpx
from fastapi import FastAPI

from digitalhuman.access.v1.access_pb2_grpc import add_AccessServiceServicer_to_server
from digitalhuman.audit.v1 import audit_pb2
from digitalhuman.audit.v1.audit_pb2_grpc import (
    AuditServiceServicer,
    add_AuditServiceServicer_to_server,
)
from digitalhuman.avatar.v1.avatar_pb2_grpc import add_AvatarServiceServicer_to_server
from digitalhuman.speech.v1.speech_pb2_grpc import add_SpeechServiceServicer_to_server
from digitalhuman.task.v1.task_pb2_grpc import (
    add_TaskServiceServicer_to_server,
)
from gateway.access.authenticator import Users
from gateway.app import GatewayOptions, create_app
from gateway.backend.services import Targets, connecting
from gateway.decoding.decoder import decoding
from gateway.middleware.access import AccessRules
from gateway.middleware.concurrency import Ceiling
from gateway.server.drain import Drain
from gateway.server.limits import ConnectionLimits
from gateway.server.serving import serving as serving_http
from services.runtime.serving.server import ServingOptions, serving
from services.task.access.servicer import AccessServicer
from tests.support.credentials import MemoryCredentials
from tests.support.gateway_avatars import ScriptedAvatars
from tests.support.gateway_script import SERVICE_TOKEN, Script
from tests.support.gateway_speech import ScriptedSpeech
from tests.support.gateway_tasks import ScriptedTasks

SERVICES = (
    "digitalhuman.task.v1.TaskService",
    "digitalhuman.speech.v1.SpeechService",
    "digitalhuman.avatar.v1.AvatarService",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningGateway:
    """A gateway that serves, a client of it, and the services behind."""

    url: str
    client: httpx.AsyncClient
    script: Script
    tasks: ScriptedTasks
    speech: ScriptedSpeech
    avatars: ScriptedAvatars
    stop_services: Callable[[], Awaitable[None]]
    services_address: str
    app: FastAPI

    async def create(self, stream_id: str = "stream_1", **members: Any) -> str:
        """Put a task on air, that greets nobody; gives its id."""
        answer = await self.client.post(
            "/api/digital-human/create-task",
            json={"roomId": "room_1", "streamId": stream_id, "greeting": "", **members},
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["taskId"])


class ScriptedAudit(AuditServiceServicer):
    """Notes nothing."""

    async def NoteUserExport(
        self, request: audit_pb2.NoteUserExportRequest, context: Any
    ) -> audit_pb2.NoteUserExportResponse:
        return audit_pb2.NoteUserExportResponse()


@asynccontextmanager
async def running_gateway(
    *,
    keys: tuple[str, ...] = (),
    is_closed: bool = False,
    origins: tuple[str, ...] = (),
    hosts: frozenset[str] = frozenset(),
    requests_per_second: float = 1000.0,
    ceilings: dict[str, Ceiling] | None = None,
    task_target: str = "",
    speech_target: str = "",
    service_token: str = SERVICE_TOKEN,
    users: Users | None = None,
    drain: Drain | None = None,
    limits: ConnectionLimits | None = None,
    **options: Any,
) -> AsyncIterator[RunningGateway]:
    """Serve a gateway over scripted services, or over others at the targets."""
    script = Script()
    # The RPCs that the gateway never calls stay abstract for the type checker only.
    tasks = ScriptedTasks(script)  # type: ignore[abstract]
    speech = ScriptedSpeech(script, tasks)  # type: ignore[abstract]
    avatars = ScriptedAvatars(script)  # type: ignore[abstract]

    access = AccessServicer(
        credentials=MemoryCredentials(),
        find_task=tasks.find_task,
        clock=lambda: datetime.now(UTC),
    )

    def register(server: grpc.aio.Server) -> None:
        add_AccessServiceServicer_to_server(access, server)
        add_AuditServiceServicer_to_server(ScriptedAudit(), server)  # type: ignore[abstract]
        add_TaskServiceServicer_to_server(tasks, server)
        add_SpeechServiceServicer_to_server(speech, server)
        add_AvatarServiceServicer_to_server(avatars, server)

    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(AsyncExitStack())
        behind = await services.enter_async_context(
            serving(
                ServingOptions(
                    host="127.0.0.1", port=0, service_tokens=(SERVICE_TOKEN,), drain_s=0
                ),
                SERVICES,
                register,
            )
        )
        targets = Targets(
            task=task_target or behind.address,
            speech=speech_target or behind.address,
            avatar=behind.address,
        )
        backend = await stack.enter_async_context(connecting(targets, service_token=service_token))
        rules = AccessRules(
            is_open=not keys and not is_closed,
            origins=origins,
            hosts=hosts,
            requests_per_second=requests_per_second,
            **(ceilings or {}),
        )
        chosen = GatewayOptions(access=rules, keys=keys, **options)
        decoder = await stack.enter_async_context(decoding(chosen.audio))
        app = create_app(backend=backend, decoder=decoder, options=chosen, users=users, drain=drain)
        url = await stack.enter_async_context(
            serving_http(app, host="127.0.0.1", port=0, drain=drain, limits=limits)
        )
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=20))
        yield RunningGateway(
            url=url,
            client=client,
            script=script,
            tasks=tasks,
            speech=speech,
            avatars=avatars,
            stop_services=services.aclose,
            services_address=behind.address,
            app=app,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One server-sent event as a client sees it."""

    name: str
    data: dict[str, Any]
    id: str | None


async def read_events(response: httpx.Response) -> AsyncIterator[Told]:
    """Yield the events of an event stream."""
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield Told(name=fields["event"], data=json.loads(fields["data"]), id=fields.get("id"))
            fields = {}
