"""Several gateways before several speech replicas, of which one holds a task's conversation."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest

from digitalhuman.conversation.v1 import conversation_pb2 as events_pb
from digitalhuman.task.v1 import task_pb2
from gateway.backend import conversing
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from tests.support.fake_tasks import TASK_ID
from tests.support.sockets import Caller, calling, gateway_before
from tests.support.speech_rig import SpeechRig, replica_beside, speech_rig

pytestmark = pytest.mark.timeout(90)

GOING_AWAY = 1001


async def post(url: str, path: str, **members: Any) -> httpx.Response:
    """Call an endpoint of the gateway whose sockets are at an address."""
    base = url.replace("ws", "http", 1)
    async with httpx.AsyncClient(base_url=base, timeout=30) as client:
        body = {"taskId": TASK_ID, **members}
        return await client.post(f"/api/digital-human/{path}", json=body)


def check_whole(*callers: Caller) -> None:
    """Check that a client that used these lines in turn was told everything once."""
    sequences = [each["sequence"] for caller in callers for each in caller.events]
    assert sequences == [*range(1, len(sequences) + 1)]


async def test_what_any_gateway_is_told_reaches_the_owner() -> None:
    async with (
        speech_rig() as one,
        replica_beside(one) as two,
        gateway_before(one, speech=one.address) as first,
        # Knows only the replica that does not hold the conversation.
        gateway_before(one, speech=two.address) as second,
        calling(first) as caller,
    ):
        await caller.until("ready")
        one.avatars.plays_s = 0.2
        await caller.send(type="text", text="Why?")
        await caller.until("playback_started")
        assert (await post(second, "interrupt")).status_code == 200
        assert (await caller.until("turn_finished"))["interrupted"]
        one.avatars.plays_s = None
        said = await post(second, "say", text="By the way.")
        assert said.json()["turnId"] == 2
        async with calling(second, after=0) as other:
            while len(other.events) < len(caller.events):
                assert await other.read() is not None
            await other.send(type="text", text="And then?")
            assert (await caller.until("turn_finished"))["reply"] == "By the way."
            assert (await caller.until("turn_started"))["transcript"] == "And then?"
            await caller.until("turn_finished")
            await other.until("turn_finished")
        check_whole(caller)
        assert not two.chat.prompts


@asynccontextmanager
async def two_replicas(rig: SpeechRig) -> AsyncIterator[dict[str, AsyncExitStack]]:
    """Two more replicas by their addresses, each to be stopped alone."""
    async with AsyncExitStack() as stack:
        lives = {}
        for _ in range(2):
            life = await stack.enter_async_context(AsyncExitStack())
            replica = await life.enter_async_context(replica_beside(rig))
            lives[replica.address] = life
        yield lives


async def test_a_line_follows_when_its_replica_shuts_down() -> None:
    async with (
        speech_rig() as rig,
        two_replicas(rig) as lives,
        gateway_before(rig, speech=",".join(lives)) as url,
        calling(url) as caller,
    ):
        await caller.send(type="text", text="Why?")
        await caller.until("turn_finished")
        owner = rig.tasks.owners.owner_of(TASK_ID)
        await lives[owner].aclose()
        # It is in no hurry: what the client says meanwhile is answered, and once.
        question = str(uuid.uuid4())
        await caller.send(type="text", text="And then?", requestId=question)
        assert (await caller.until("turn_started"))["requestId"] == question
        await caller.until("turn_finished")
        assert rig.tasks.owners.owner_of(TASK_ID) in lives.keys() - {owner}
        check_whole(caller)
        assert [each["event"] for each in caller.events].count("turn_started") == 2
        assert caller.interludes == ["conversation_suspended", "conversation_resumed"]


async def test_a_client_goes_on_at_another_gateway() -> None:
    async with speech_rig() as rig, gateway_before(rig) as second, AsyncExitStack() as life:
        first = await life.enter_async_context(gateway_before(rig))
        async with calling(first) as before:
            await before.send(type="text", text="Why?")
            await before.until("turn_finished")
            closing = asyncio.create_task(life.aclose())
            assert await before.closed() == GOING_AWAY
            await closing
        async with calling(second, after=before.events[-1]["sequence"]) as after:
            await after.send(type="text", text="And then?")
            await after.until("turn_finished")
        check_whole(before, after)


def held_by(rig: SpeechRig, address: str, *, lease_s: float) -> None:
    """Have the conversation held by a replica that will not be kept alive."""
    rig.tasks.owners.lease_s = lease_s
    gone = str(uuid.uuid4())
    rig.tasks.owners.keep(task_pb2.KeepReplicaRequest(replica_id=gone, address=address))
    rig.tasks.owners.claim(task_pb2.ClaimConversationRequest(task_id=TASK_ID, replica_id=gone))


async def test_an_owner_that_is_gone_is_waited_out() -> None:
    async with speech_rig() as rig, gateway_before(rig) as url:
        held_by(rig, "127.0.0.1:1", lease_s=1.5)
        said = await post(url, "say", text="Hello.")
        assert said.status_code == 200, said.text
        assert said.json()["turnId"] == 1


@pytest.mark.parametrize("address", ["127.0.0.1:1", "unix:/socket", "dns:///evil:1", "evil"])
async def test_a_client_is_told_to_retry_when_no_owner_is_found(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setattr(conversing, "OPENING_S", 0.3)
    async with speech_rig() as rig, gateway_before(rig) as url:
        held_by(rig, address, lease_s=60.0)
        said = await post(url, "say", text="Hello.")
        assert said.status_code == 503
        assert said.json()["reason"] == Reason.DEPENDENCY_UNAVAILABLE
        assert int(said.headers["Retry-After"]) >= 1
        assert address not in said.text


async def test_what_the_next_replica_does_not_know_of_is_told_anew() -> None:
    async with (
        speech_rig() as rig,
        two_replicas(rig) as lives,
        gateway_before(rig, speech=",".join(lives)) as url,
        calling(url) as caller,
    ):
        await caller.send(type="text", text="Why?")
        await caller.until("turn_finished")
        # Of the last event another one is on record, as if the next replica had come before.
        record = rig.tasks.records[TASK_ID]
        last = record[-1].sequence
        record[-1] = events_pb.ConversationEvent(
            sequence=last, turn_id=1, turn_failed=events_pb.TurnFailed(heard_text="This is")
        )
        await lives[rig.tasks.owners.owner_of(TASK_ID)].aclose()
        assert (await caller.until("turn_failed"))["heard"] == "This is"
        assert [each["sequence"] for each in caller.events][-2:] == [last, last]
        await caller.send(type="text", text="And then?")
        await caller.until("turn_finished")
        assert [each["sequence"] for each in caller.events][-1] > last


async def test_a_service_is_there_while_one_of_its_replicas_is() -> None:
    nobody = "127.0.0.1:1"
    async with (
        speech_rig() as rig,
        gateway_before(rig, speech=f"{nobody},{rig.address}") as some,
        gateway_before(rig, speech=nobody) as none,
        httpx.AsyncClient(timeout=30) as client,
    ):
        for url, is_missing in ((some, False), (none, True)):
            answer = await client.get(f"{url.replace('ws', 'http', 1)}/readyz")
            # The doubles beside it report nothing.
            assert answer.status_code == 503
            missing = answer.json()["metadata"]["missing"]
            assert ("SpeechService" in missing) == is_missing


async def test_a_stream_whose_conversation_moves_is_followed() -> None:
    async with (
        speech_rig() as rig,
        two_replicas(rig) as lives,
        gateway_before(rig, speech=",".join(lives)) as url,
        calling(url) as caller,
    ):
        await caller.send(type="text", text="Why?")
        await caller.until("turn_finished")
        rig.tasks.failures.append(ServiceError(Reason.CONVERSATION_MOVED, "It moved."))
        await caller.send(type="text", text="And then?")
        failed = await caller.until("turn_failed")
        assert failed["problem"]["reason"] == Reason.TURN_ABANDONED
        await caller.send(type="text", text="And now?")
        await caller.until("turn_finished")
        check_whole(caller)
        assert caller.interludes == ["conversation_suspended", "conversation_resumed"]
