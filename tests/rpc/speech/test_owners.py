"""Several speech replicas: one of them holds a conversation, and another takes over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
import pytest

from digitalhuman.speech.v1 import speech_pb2 as pb
from services.runtime import clock
from services.runtime.failures.errors import ServiceError, from_rpc_error, from_status
from services.runtime.failures.reasons import Reason
from services.speech.conversation import ownership
from tests.support.converse import Talk, audio, refusal, say, setup, text
from tests.support.fake_tasks import TASK_ID
from tests.support.loudness import silent, voiced
from tests.support.scripted_providers import ScriptedChat
from tests.support.speech_rig import Script, SpeechRig, replica_beside, speech_rig, until_free

pytestmark = pytest.mark.timeout(60)


@asynccontextmanager
async def replicas() -> AsyncIterator[tuple[SpeechRig, SpeechRig]]:
    """Two replicas over one task service."""
    async with speech_rig() as one, replica_beside(one) as two:
        yield one, two


async def failure_of(talk: Talk) -> ServiceError:
    """Return the error with which a stream ends."""
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await talk.read_on()
    return from_rpc_error(ended.value)


def take_away(rig: SpeechRig) -> None:
    """End the lease of the replica of a rig, which does not know it yet."""
    owners = rig.tasks.owners
    replica_id = next(each for each, at in owners.addresses.items() if at == rig.address)
    owners.expire(replica_id)


async def test_another_replica_names_the_owner_until_it_is_done() -> None:
    async with replicas() as (one, two):
        async with Talk.open(one) as talk:
            refused = await refusal(two, setup())
            assert refused is not None
            assert refused.reason is Reason.CONVERSATION_ELSEWHERE
            assert refused.metadata["owner_address"] == one.address
            assert 0 < (refused.retry_after_s or 0) <= one.tasks.owners.lease_s
            # What was refused has left no trace.
            await talk.send(text("Why?"))
            await talk.until("turn_finished")
            await talk.finish()
        await until_free(one)
        async with Talk.open(two, setup(resume_after_sequence=0)) as talk:
            assert (await talk.until("turn_finished")).turn_id == 1
            await talk.send(text("And then?"))
            assert (await talk.until("turn_finished")).turn_id == 2


async def test_the_next_owner_ends_the_turn_of_the_last_one() -> None:
    gate = asyncio.Event()
    chat = ScriptedChat(gate=gate)
    async with (
        speech_rig(Script(chat=chat)) as one,
        replica_beside(one) as two,
        Talk.open(one) as stale,
    ):
        one.avatars.plays_s = 0.1
        await stale.send(text("Why?"))
        await stale.until("playback_started")
        await one.tasks.recorded("turn_started")
        take_away(one)
        async with Talk.open(two, setup(resume_after_sequence=0)) as talk:
            failed = (await talk.until("turn_failed")).turn_failed
            abandoned = from_status(failed.status)
            assert abandoned is not None
            assert abandoned.reason is Reason.TURN_ABANDONED
            assert one.avatars.cut_off == [f"avatar-of-{TASK_ID}"]
            one.avatars.plays_s = None
            # The last owner goes on until it is refused; then it is silent at once.
            await stale.send(say("I am still here."))
            gate.set()
            lost = await failure_of(stale)
            assert lost.reason is Reason.CONVERSATION_ELSEWHERE
            assert lost.metadata["owner_address"] == two.address
            await talk.send(text("And then?"))
            finished = await talk.until("turn_finished")
            assert finished.turn_id == 2
            record = one.tasks.records[TASK_ID]
            assert [each.sequence for each in record] == [*range(1, len(record) + 1)]
            assert list(talk.events) == record
        assert [drive.setup.turn_id for drive in one.avatars.drives] == [1, 2]
        # The stale one was dropped, without waiting for what became of it.
        assert one.avatars.drives[0].ended_by != "interrupt"


async def test_a_replica_that_was_stopped_asks_before_it_speaks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with replicas() as (one, two), Talk.open(one) as stale:
        take_away(one)
        async with Talk.open(two) as talk:
            # One's time goes on, as it does while a process is stopped.
            monkeypatch.setattr(ownership, "since_boot", lambda: clock.since_boot() + 60)
            await stale.send(text("Am I still the one?"))
            lost = await failure_of(stale)
            assert lost.reason is Reason.CONVERSATION_ELSEWHERE
            assert lost.metadata["owner_address"] == two.address
            monkeypatch.undo()
            assert not one.avatars.drives
            await talk.send(text("Who speaks?"))
            await talk.until("turn_finished")
        assert len(one.avatars.drives) == 1


async def test_a_lease_that_ended_without_another_owner_is_no_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with speech_rig() as rig, Talk.open(rig) as talk:
        take_away(rig)
        monkeypatch.setattr(ownership, "since_boot", lambda: clock.since_boot() + 60)
        await talk.send(text("Am I still the one?"))
        await talk.until("turn_finished")


async def test_while_no_replica_can_be_kept_alive_the_owner_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with speech_rig() as rig, Talk.open(rig) as talk:
        rig.tasks.outage = ServiceError(Reason.DEPENDENCY_UNAVAILABLE, "The database is away.")
        monkeypatch.setattr(ownership, "since_boot", lambda: clock.since_boot() + 60)
        await talk.send(text("Is anybody there?"))
        await talk.until("turn_finished")
        refused = await refusal(rig, setup(task_id=other_task(rig)))
        assert refused is not None
        assert refused.reason is Reason.DEPENDENCY_UNAVAILABLE


async def test_a_task_service_that_knows_no_replicas_is_served_as_before() -> None:
    async with speech_rig() as rig:
        rig.tasks.outage = ServiceError(Reason.NOT_SUPPORTED, "Method not found!")
        async with Talk.open(rig) as talk:
            await talk.send(text("Who is there?"))
            await talk.until("turn_finished")
        assert {event.turn_id for event in rig.tasks.records[TASK_ID]} == {1}


async def test_at_shutdown_idle_streams_go_at_once_and_turns_are_finished() -> None:
    gate = asyncio.Event()
    script = Script(chat=ScriptedChat(gate=gate), drain_s=30)
    async with speech_rig() as rig, AsyncExitStack() as stack:
        life = await stack.enter_async_context(AsyncExitStack())
        going = await life.enter_async_context(replica_beside(rig, script))
        idle = await stack.enter_async_context(Talk.open(going))
        other = other_task(rig)
        busy = await stack.enter_async_context(Talk.open(going, setup(task_id=other)))
        asking = await stack.enter_async_context(Talk.open(going, setup(task_id=other)))
        await asking.send(text("Why?"))
        await busy.until("turn_started")
        closing = asyncio.create_task(life.aclose())
        assert (await failure_of(idle)).reason is Reason.DRAINING
        await until_free(rig)
        assert rig.tasks.owners.owner_of(other) == going.address
        await asking.half_close()
        # It takes nobody new, but another replica does.
        refused = await refusal(going, setup())
        assert refused is not None
        assert refused.reason is Reason.DRAINING
        # What goes on there can still be reached.
        async with Talk.open(going, setup(task_id=other)) as talk:
            assert talk.ready is not None
        async with Talk.open(rig) as talk:
            await talk.send(text("Who is there?"))
            await talk.until("turn_finished")
        gate.set()
        # The caller who had asked for nothing more gets the whole answer, the other one moves.
        assert (await asking.read_on())[-1] == "turn_finished"
        assert (await failure_of(busy)).reason is Reason.DRAINING
        assert busy.kinds[-1] == "turn_finished"
        assert not busy.last("turn_finished").interrupted
        await closing
        assert not rig.tasks.owners.owner_of(other)


async def test_at_shutdown_a_user_may_finish_the_sentence() -> None:
    async with speech_rig() as rig, AsyncExitStack() as stack:
        life = await stack.enter_async_context(AsyncExitStack())
        going = await life.enter_async_context(replica_beside(rig, Script(drain_s=30)))
        first = setup(turn_detection=pb.TURN_DETECTION_SERVER)
        talk = await stack.enter_async_context(Talk.open(going, first))
        idle = await stack.enter_async_context(Talk.open(going, setup(task_id=other_task(rig))))
        await talk.send(*audio(voiced(1)))
        await talk.until("speech_started")
        closing = asyncio.create_task(life.aclose())
        assert (await failure_of(idle)).reason is Reason.DRAINING
        await talk.send(*audio(silent(1.3)))
        finished = await talk.until("turn_finished")
        assert not finished.turn_finished.interrupted
        assert (await failure_of(talk)).reason is Reason.DRAINING
        await closing


async def test_at_shutdown_turns_that_take_too_long_are_cut_off_and_recorded() -> None:
    async with speech_rig() as rig, AsyncExitStack() as stack:
        life = await stack.enter_async_context(AsyncExitStack())
        going = await life.enter_async_context(replica_beside(rig))
        talk = await stack.enter_async_context(Talk.open(going))
        rig.avatars.plays_s = 0.1
        await talk.send(text("Why?"))
        await talk.until("playback_started")
        closing = asyncio.create_task(life.aclose())
        assert (await failure_of(talk)).reason is Reason.DRAINING
        await closing
        assert talk.last("turn_finished").interrupted
        assert talk.events == rig.tasks.records[TASK_ID]
        assert not rig.tasks.owners.owner_of(TASK_ID)


def other_task(rig: SpeechRig) -> str:
    rig.tasks.add("task_b")
    return "task_b"
