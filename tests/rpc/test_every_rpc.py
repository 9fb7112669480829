"""Every RPC: refused without the service token, and blind for what is another tenant's.

An RPC that is not in the table fails the test: whoever adds one says here whether it names a task.
"""

import importlib
import pkgutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

import digitalhuman
from digitalhuman.access.v1 import access_pb2 as access
from digitalhuman.audit.v1 import audit_pb2 as audit
from digitalhuman.conversation.v1.conversation_pb2 import ConversationEvent
from digitalhuman.speech.v1 import speech_pb2 as speech
from digitalhuman.task.v1 import task_pb2 as task
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from digitalhuman.webhooks.v1 import webhooks_pb2 as webhooks
from services.avatar.app import running as running_avatar
from services.avatar.settings import AvatarSettings
from services.runtime.callers.caller import Caller, of_tenant, to_metadata
from services.runtime.callers.requests import AUTHORIZATION_HEADER, Metadata
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from tests.support.avatar_rig import APP_ID, SERVER_SECRET
from tests.support.failures import told_by
from tests.support.speech_rig import Script, speech_rig, speech_service
from tests.support.task import ScriptedCloud, task_service

pytestmark = pytest.mark.timeout(60)

SERVICE_TOKEN = "the-service-token-of-this-test-" * 2
REPLICA_ID = "5f0c7a52-8d3e-4a6b-9a57-0f4b8c2d1e90"
ACME = of_tenant("acme")
STRANGERS = {
    "another tenant": of_tenant("zoo"),
    "the default tenant": Caller(),
    "another user": Caller(tenant_id="acme", user_id="bob"),
}

OTHERWISE_REFUSED = {
    # The order itself names the user that it is for.
    ("digitalhuman.task.v1.TaskService.FindCreatedTask", "another user"): Reason.INVALID_REQUEST
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A task of a user of another tenant, on air, with a turn."""

    task_id: str
    avatar_id: str
    order: task.CreateTaskRequest


Named: TypeAlias = Callable[[Foreign], Message]
"""Makes a request that names somebody else's task."""

TASK_SERVICE: Mapping[str, Named] = {
    "FindCreatedTask": lambda of: task.FindCreatedTaskRequest(request=of.order),
    "ClaimTask": lambda of: task.ClaimTaskRequest(task_id=of.task_id),
    "GetTask": lambda of: task.GetTaskRequest(task_id=of.task_id, with_facts=True),
    "UpdateTask": lambda of: task.UpdateTaskRequest(
        task_id=of.task_id, facts=task.CallFacts(context="Mine.")
    ),
    "StopTask": lambda of: task.StopTaskRequest(task_id=of.task_id),
    "WatchTask": lambda of: task.WatchTaskRequest(task_id=of.task_id, after_sequence=0),
    "RefreshTask": lambda of: task.RefreshTaskRequest(task_id=of.task_id),
    "ClaimConversation": lambda of: task.ClaimConversationRequest(
        task_id=of.task_id, replica_id=REPLICA_ID
    ),
    "ReleaseConversation": lambda of: task.ReleaseConversationRequest(task_id=of.task_id, epoch=1),
    "AppendEvents": lambda of: task.AppendEventsRequest(
        task_id=of.task_id, events=[ConversationEvent(sequence=1)]
    ),
    "GetConversation": lambda of: task.GetConversationRequest(task_id=of.task_id),
    "GetTurn": lambda of: task.GetTurnRequest(task_id=of.task_id, turn_id=1),
    "DeleteConversation": lambda of: task.DeleteConversationRequest(task_id=of.task_id),
}
SPEECH_SERVICE: Mapping[str, Named] = {
    "Converse": lambda of: speech.ConverseRequest(
        setup=speech.ConverseSetup(
            task_id=of.task_id,
            output=speech.REPLY_OUTPUT_AVATAR,
            turn_detection=speech.TURN_DETECTION_MANUAL,
        )
    ),
}
ACCESS_SERVICE: Mapping[str, Named] = {
    "CreateTicket": lambda of: access.CreateTicketRequest(task_id=of.task_id),
}
NAMES_A_TASK: Mapping[str, Named] = {
    **{f"digitalhuman.access.v1.AccessService.{name}": e for name, e in ACCESS_SERVICE.items()},
    **{f"digitalhuman.task.v1.TaskService.{name}": each for name, each in TASK_SERVICE.items()},
    **{f"digitalhuman.speech.v1.SpeechService.{name}": e for name, e in SPEECH_SERVICE.items()},
}
"""Answered as for a task that there is not."""

LISTS_OR_MAKES_OWN = {
    "digitalhuman.access.v1.AccessService.CreateApiKey",
    "digitalhuman.access.v1.AccessService.ListApiKeys",
    "digitalhuman.access.v1.AccessService.RevokeApiKey",
    "digitalhuman.access.v1.AccessService.BindTicket",
    "digitalhuman.access.v1.AccessService.RevokeTicket",
    "digitalhuman.task.v1.TaskService.CreateTask",
    "digitalhuman.task.v1.TaskService.ListTasks",
    "digitalhuman.task.v1.TaskService.ListUsage",
    "digitalhuman.task.v1.TaskService.NoteClients",
    "digitalhuman.task.v1.TaskService.EraseUser",
    "digitalhuman.task.v1.TaskService.Reconcile",
    "digitalhuman.avatar.v1.AvatarService.CreateViewerToken",
    "digitalhuman.avatar.v1.AvatarService.StartAvatar",
}
"""Limited to the tenant by what they select, or by the names that they make: tested apart."""

OF_A_WHOLE_TENANT = {
    "digitalhuman.audit.v1.AuditService.ListAuditEntries": audit.ListAuditEntriesRequest(),
    "digitalhuman.audit.v1.AuditService.NoteUserExport": audit.NoteUserExportRequest(),
    "digitalhuman.webhooks.v1.WebhookService.AddWebhook": webhooks.AddWebhookRequest(
        url="https://example.com/"
    ),
    "digitalhuman.webhooks.v1.WebhookService.ListWebhooks": webhooks.ListWebhooksRequest(),
    **{
        f"digitalhuman.webhooks.v1.WebhookService.{name}": make(webhook_id="w")
        for name, make in (
            ("RemoveWebhook", webhooks.RemoveWebhookRequest),
            ("RotateWebhookKey", webhooks.RotateWebhookKeyRequest),
            ("TestWebhook", webhooks.TestWebhookRequest),
            ("ListDeadLetters", webhooks.ListDeadLettersRequest),
            ("ReplayDeadLetters", webhooks.ReplayDeadLettersRequest),
        )
    },
}
"""Refused to a caller who is limited to a user; other tenants are tested apart."""

NAMES_NO_TASK = {
    "digitalhuman.access.v1.AccessService.Authenticate",
    "digitalhuman.access.v1.AccessService.RedeemTicket",
    "digitalhuman.task.v1.TaskService.KeepReplica",
    "digitalhuman.speech.v1.SpeechService.Transcribe",
    "digitalhuman.speech.v1.SpeechService.Synthesize",
    "digitalhuman.speech.v1.SpeechService.ListPersonas",
    "digitalhuman.speech.v1.SpeechService.ListVoices",
    "digitalhuman.avatar.v1.AvatarService.ListDigitalHumans",
    "digitalhuman.avatar.v1.AvatarService.ListTimbres",
    "digitalhuman.avatar.v1.AvatarService.HandleCallback",
    "digitalhuman.avatar.v1.AvatarService.YieldAvatar",
}
"""The same for everybody."""

BY_AVATAR = {
    f"digitalhuman.avatar.v1.AvatarService.{name}"
    for name in (
        *("StopAvatar", "GetAvatar", "ListAvatars", "Drive", "InterruptAvatar"),
        *("SpeakText", "SpeakAudioUrl", "PerformAction"),
    )
}
"""Take handles of the cloud, which services learn from the task service for tasks that they see."""


def methods() -> Iterator[MethodDescriptor]:
    """Yield every RPC that there is."""
    for module in pkgutil.walk_packages(digitalhuman.__path__, "digitalhuman."):
        if module.name.endswith("_pb2"):
            file = importlib.import_module(module.name).DESCRIPTOR
            for service in file.services_by_name.values():
                yield from service.methods


METHODS = {method.full_name: method for method in methods()}


def test_of_every_rpc_it_is_known_whether_it_names_a_task() -> None:
    tables = (
        set(NAMES_A_TASK),
        LISTS_OR_MAKES_OWN,
        set(OF_A_WHOLE_TENANT),
        NAMES_NO_TASK,
        BY_AVATAR,
    )
    assert sorted(METHODS) == sorted(name for table in tables for name in table)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """All services, with a service token, and a task in them."""

    channels: Mapping[str, grpc.aio.Channel]
    """By the full name of the service."""
    foreign: Foreign

    async def refusal(
        self, method: MethodDescriptor, request: Message, metadata: Metadata
    ) -> ServiceError | None:
        """Call an RPC with one request; return with what it fails, None if it does not."""
        service = method.containing_service.full_name
        answer = GetMessageClass(method.output_type)
        kind = (
            f"{'stream' if method.client_streaming else 'unary'}"
            f"_{'stream' if method.server_streaming else 'unary'}"
        )
        make: Any = getattr(self.channels[service], kind)
        call: Any = make(
            f"/{service}/{method.name}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        sent: Any = iter([request]) if method.client_streaming else request
        running = call(sent, metadata=metadata, timeout=20)
        try:
            if method.server_streaming:
                async for _ in running:
                    pass
            else:
                await running
        except grpc.aio.AioRpcError as error:
            return told_by(error)
        return None


def credentials(caller: Caller) -> Metadata:
    return ((AUTHORIZATION_HEADER, f"Bearer {SERVICE_TOKEN}"), *to_metadata(caller))


@pytest.fixture
async def services() -> AsyncIterator[Services]:
    order = task.CreateTaskRequest(
        request_id=REPLICA_ID, room_id="room", stream_id="stream", user_id="ann"
    )
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        task_address = await enter(task_service(ScriptedCloud(), service_token=SERVICE_TOKEN))
        doubles = await enter(speech_rig())
        speech_up = await enter(
            speech_service(
                Script(service_token=SERVICE_TOKEN),
                doubles.neighbours_address,
                task_address=task_address,
            )
        )
        avatar_up = await enter(
            running_avatar(
                AvatarSettings(
                    port=0,
                    engine_app_id=APP_ID,
                    engine_server_secret=SERVER_SECRET,
                    cloud_url="http://127.0.0.1:9",
                    service_token=SERVICE_TOKEN,
                )
            )
        )
        channels = {
            name: await enter(grpc.aio.insecure_channel(address))
            for name, address in (
                ("digitalhuman.access.v1.AccessService", task_address),
                ("digitalhuman.task.v1.TaskService", task_address),
                ("digitalhuman.audit.v1.AuditService", task_address),
                ("digitalhuman.webhooks.v1.WebhookService", task_address),
                ("digitalhuman.speech.v1.SpeechService", speech_up.address),
                ("digitalhuman.avatar.v1.AvatarService", avatar_up.address),
            )
        }
        tasks = TaskServiceStub(channels["digitalhuman.task.v1.TaskService"])
        made = (await tasks.CreateTask(order, metadata=credentials(ACME))).task
        yield Services(
            channels=channels,
            foreign=Foreign(task_id=made.task_id, avatar_id=made.avatar_id, order=order),
        )


async def test_none_answers_without_the_service_token(services: Services) -> None:
    wrong = ((AUTHORIZATION_HEADER, "Bearer another token"), *to_metadata(ACME))
    for name, method in METHODS.items():
        request = GetMessageClass(method.input_type)()
        for metadata in ((), to_metadata(ACME), wrong):
            refused = await services.refusal(method, request, metadata)
            assert refused is not None, name
            assert refused.reason is Reason.CREDENTIALS_INVALID, name


async def test_a_task_of_others_is_not_found_by_any(services: Services) -> None:
    for name, make in NAMES_A_TASK.items():
        for who, stranger in STRANGERS.items():
            refused = await services.refusal(
                METHODS[name], make(services.foreign), credentials(stranger)
            )
            assert refused is not None, (name, who)
            expected = OTHERWISE_REFUSED.get((name, who), Reason.TASK_NOT_FOUND)
            assert refused.reason is expected, (name, who)
    # It is there, and as it was.
    get = task.GetTaskRequest(task_id=services.foreign.task_id)
    tasks = TaskServiceStub(services.channels["digitalhuman.task.v1.TaskService"])
    found = await tasks.GetTask(get, metadata=credentials(ACME))
    assert found.task.state in (task.TASK_STATE_STARTING, task.TASK_STATE_STREAMING)


async def test_what_belongs_to_a_whole_tenant_is_refused_to_one_user(services: Services) -> None:
    for name, request in OF_A_WHOLE_TENANT.items():
        user = Caller(tenant_id="acme", user_id="ann")
        refused = await services.refusal(METHODS[name], request, credentials(user))
        assert refused is not None, name
        assert refused.reason is Reason.PERMISSION_DENIED, name
