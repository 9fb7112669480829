"""A conversation belongs to the tenant of its task, whoever else knows the task's id."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from digitalhuman.speech.v1.speech_pb2_grpc import SpeechServiceStub
from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1.task_pb2_grpc import (
    TaskServiceServicer,
    TaskServiceStub,
    add_TaskServiceServicer_to_server,
)
from services.runtime import clock
from services.runtime.callers.caller import (
    Caller,
    acting_for,
    current_caller,
    of_tenant,
    to_metadata,
)
from services.runtime.channels.replicas import replicas
from services.runtime.failures.errors import from_rpc_error
from services.runtime.failures.reasons import Reason
from services.runtime.serving.server import ServingOptions, serving
from services.speech.conversation import ownership
from services.speech.conversation.clients import noting_clients
from services.speech.conversation.ownership import kept_alive
from services.speech.conversation.task_records import OnAir, TaskRecords
from tests.support.converse import Talk, setup, text
from tests.support.speech_rig import Script, speech_rig, speech_service
from tests.support.task import task_service

pytestmark = pytest.mark.timeout(60)

ACME = of_tenant("acme")
ANN = Caller(tenant_id="acme", user_id="ann")
STRANGERS = (Caller(), of_tenant("zoo"), Caller(tenant_id="acme", user_id="bob"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """A speech service on scripted providers, a real task service, and a task of Ann's on air."""

    speech: SpeechServiceStub
    tasks: TaskServiceStub
    task_address: str
    task_id: str

    @asynccontextmanager
    async def talk(self, caller: Caller) -> AsyncIterator[Talk]:
        """A stream of a caller's that is ready."""
        first = setup(task_id=self.task_id)
        async with Talk.on(self.speech, first, to_metadata(caller)) as talk:
            yield talk


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        doubles = await enter(speech_rig())
        task_address = await enter(task_service())
        up = await enter(
            speech_service(
                Script(task_check_s=0.05), doubles.neighbours_address, task_address=task_address
            )
        )
        tasks = TaskServiceStub(await enter(grpc.aio.insecure_channel(task_address)))
        speech = SpeechServiceStub(await enter(grpc.aio.insecure_channel(up.address)))
        order = pb.CreateTaskRequest(room_id="room", stream_id="stream", user_id="ann")
        made = (await tasks.CreateTask(order, metadata=to_metadata(ACME))).task
        yield Rig(speech=speech, tasks=tasks, task_address=task_address, task_id=made.task_id)


async def refusal(rig: Rig, caller: Caller) -> Reason | None:
    """Return why a caller may not talk."""
    try:
        async with rig.talk(caller):
            return None
    except grpc.aio.AioRpcError as error:
        return from_rpc_error(error).reason


async def test_an_open_conversation_is_not_found_by_strangers(rig: Rig) -> None:
    for stranger in STRANGERS:
        assert await refusal(rig, stranger) is Reason.TASK_NOT_FOUND
    async with rig.talk(ANN):
        for stranger in STRANGERS:
            assert await refusal(rig, stranger) is Reason.TASK_NOT_FOUND
        assert await refusal(rig, ACME) is None


async def test_what_is_said_is_recorded_for_the_tenant(rig: Rig) -> None:
    async with rig.talk(ANN) as talk, rig.talk(ACME) as of_operator:
        await of_operator.send(text("Hello?"))
        await talk.until("turn_finished")
        await of_operator.finish()
        await talk.finish()
    request = pb.GetConversationRequest(task_id=rig.task_id)
    for caller in (ANN, ACME):
        kept = await rig.tasks.GetConversation(request, metadata=to_metadata(caller))
        assert [turn.user_text for turn in kept.turns] == ["Hello?"]


async def test_a_conversation_ends_with_its_task_and_not_before(rig: Rig) -> None:
    async with rig.talk(ANN) as talk:
        await asyncio.gather(*(refusal(rig, stranger) for stranger in STRANGERS))
        await talk.send(text("Hello?"))
        await talk.until("turn_finished")
        stop = pb.StopTaskRequest(task_id=rig.task_id)
        await rig.tasks.StopTask(stop, metadata=to_metadata(ACME))
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await talk.read_on()
        assert from_rpc_error(ended.value).reason is Reason.TASK_ENDED


async def test_a_claim_is_renewed_for_the_tenant(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        replicas(rig.task_address, TaskServiceStub) as tasks,
        kept_alive(tasks, service_token=None) as replica,
    ):
        replica.listen_at("127.0.0.1:1")
        with acting_for(ACME):
            async with replica.claimed(rig.task_id) as claim:
                monkeypatch.setattr(ownership, "since_boot", lambda: clock.since_boot() + 60)
                with acting_for(Caller()):
                    await replica.renewed()
                assert not claim.lost.done()


class Clients(TaskServiceServicer):
    """Notes for whom clients are told of."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[tuple[str, list[str]]] = asyncio.Queue()

    async def NoteClients(
        self, request: pb.NoteClientsRequest, context: Any
    ) -> pb.NoteClientsResponse:
        """Note them."""
        self.told.put_nowait((current_caller().tenant_id, list(request.task_ids)))
        return pb.NoteClientsResponse()


async def test_clients_are_noted_each_for_its_tenant() -> None:
    told = Clients()  # type: ignore[abstract]  # the rest is never called
    async with (
        serving(
            ServingOptions(host="127.0.0.1", port=0),
            [],
            lambda server: add_TaskServiceServicer_to_server(told, server),
        ) as up,
        replicas(up.address, TaskServiceStub) as tasks,
        noting_clients(TaskRecords(tasks, service_token=None)) as clients,
        AsyncExitStack() as stack,
    ):
        for task_id, caller in (("a", ANN), ("b", Caller()), ("c", ACME)):
            on_air = OnAir(
                task_id=task_id,
                avatar_id="avatar",
                persona_id="",
                language_code="",
                max_idle_s=60,
                needs_client=True,
            )
            with acting_for(caller):
                stack.enter_context(clients.present(on_air))
        assert [await told.told.get() for _ in range(2)] == [
            ("acme", ["a", "c"]),
            ("default", ["b"]),
        ]
