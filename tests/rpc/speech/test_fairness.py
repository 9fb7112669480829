"""One tenant's many sockets cost another, who has one, at most one place in any queue."""

import asyncio
import random
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import grpc
import pytest

from digitalhuman.speech.v1 import speech_pb2 as pb
from services.runtime.callers.caller import Caller, current_caller, to_metadata
from services.runtime.callers.tenants import TenantQuota, Tenants
from services.runtime.failures.errors import from_rpc_error, from_status
from services.runtime.failures.reasons import Reason
from services.speech.embedded.worker import Worker, open_worker
from services.speech.ports.chat import ChatItem, ChatRequest
from services.speech.ports.recognition import RecognitionRequest, Transcript
from services.speech.ports.stages import Stage
from services.speech.ports.synthesis import SpeechChunk
from tests.support.converse import COMMIT, Talk, audio, say, setup, text
from tests.support.loudness import voiced
from tests.support.scripted_providers import ScriptedChat, ScriptedRecognizer, ScriptedSynthesizer
from tests.support.speech_rig import Script, SpeechRig, speech_rig

GREEDY, MODEST = "greedy", "modest"
SOCKETS = 24
QUESTIONS = 3


class Engine:
    """A model with one worker, which works while its gate is open."""

    def __init__(self, worker: Worker, *, work_s: float = 0.0) -> None:
        self._worker = worker
        self._work_s = work_s
        self.gate = threading.Event()
        self.asked = 0
        self.served: list[str] = []
        """The tenants whose calls began, in order."""
        self.passed_by: list[int] = []
        """How many calls of others began while each call of the modest one waited."""

    async def work(self) -> None:
        """Wait for a turn, and for the gate."""
        tenant = current_caller().tenant_id
        turn = self._worker.submit(self._serve, tenant)
        self.asked += 1
        known = len(self.served)
        place = await asyncio.wrap_future(turn)
        if tenant == MODEST:
            self.passed_by.append(place - known)

    def _serve(self, tenant: str) -> int:
        self.served.append(tenant)
        place = len(self.served) - 1
        assert self.gate.wait(60)
        time.sleep(self._work_s)
        return place

    async def until(self, *, asked: int = 0, served: int = 0) -> None:
        """Wait until so many calls were made, and so many have begun."""
        while self.asked < asked or len(self.served) < served:  # noqa: ASYNC110  # two threads
            await asyncio.sleep(0.005)


@dataclass(slots=True, kw_only=True)
class EngineRecognizer(ScriptedRecognizer):
    """Hears the script, when its engine has a turn for it."""

    engine: Engine

    async def transcribe(
        self, audio: AsyncIterator[bytes], request: RecognitionRequest
    ) -> AsyncIterator[Transcript]:
        """Yield the script after a turn of the engine."""
        heard = [each async for each in ScriptedRecognizer.transcribe(self, audio, request)]
        await self.engine.work()
        for each in heard:
            yield each


@dataclass(slots=True, kw_only=True)
class EngineChat(ScriptedChat):
    """Writes the script, when its engine has a turn for it."""

    engine: Engine

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatItem]:
        """Yield the script after a turn of the engine."""
        await self.engine.work()
        async for item in ScriptedChat.stream(self, request):
            yield item


@dataclass(slots=True, kw_only=True)
class EngineSynthesizer(ScriptedSynthesizer):
    """Speaks each clause of the script, when its engine has a turn for it."""

    engine: Engine

    async def _speak_text(self, text: str, voice_id: str) -> AsyncIterator[SpeechChunk]:
        await self.engine.work()
        async for chunk in ScriptedSynthesizer._speak_text(self, text, voice_id):
            yield chunk


@asynccontextmanager
async def rig_on_engines(
    work_s: float = 0.0,
) -> AsyncIterator[tuple[SpeechRig, dict[Stage, Engine]]]:
    """A speech service whose stages are served by one engine each."""
    async with AsyncExitStack() as stack:
        engines = {
            stage: Engine(await stack.enter_async_context(open_worker(stage)), work_s=work_s)
            for stage in Stage
        }
        script = Script(
            recognizer=EngineRecognizer(engine=engines[Stage.RECOGNITION]),
            chat=EngineChat(engine=engines[Stage.CHAT]),
            synthesizer=EngineSynthesizer(engine=engines[Stage.SYNTHESIS], character_s=0.001),
        )
        try:
            yield await stack.enter_async_context(speech_rig(script)), engines
        finally:
            for engine in engines.values():
                engine.gate.set()


@asynccontextmanager
async def talking(rig: SpeechRig, tenant: str) -> AsyncIterator[Talk]:
    """A conversation of a tenant, whose replies go back to the caller."""
    first = setup(task_id="", output=pb.REPLY_OUTPUT_AUDIO)
    async with Talk.open(rig, first, to_metadata(Caller(tenant_id=tenant))) as talk:
        yield talk


async def speak(talk: Talk) -> None:
    """Ask a question aloud."""
    await talk.send(*audio(voiced(0.5)), COMMIT)


@pytest.mark.parametrize("stage", Stage)
async def test_the_modest_one_is_next_behind_whatever_runs(stage: Stage) -> None:
    async with rig_on_engines() as (rig, engines), AsyncExitStack() as sockets:
        engine = engines[stage]
        for other in engines.values():
            if other is not engine:
                other.gate.set()
        for _ in range(SOCKETS):
            await speak(await sockets.enter_async_context(talking(rig, GREEDY)))
        await engine.until(asked=SOCKETS, served=1)
        modest = await sockets.enter_async_context(talking(rig, MODEST))
        await speak(modest)
        await engine.until(asked=SOCKETS + 1)
        engine.gate.set()
        await modest.until("turn_finished")
    assert engine.served[:2] == [GREEDY, MODEST]


async def test_from_the_first_word_to_the_last_no_stage_lets_others_pass_twice() -> None:
    chance = random.Random(12)

    async def ask_on(rig: SpeechRig) -> None:
        async with talking(rig, GREEDY) as talk:
            while True:
                await speak(talk)
                await talk.until("turn_finished")

    async with rig_on_engines(work_s=0.005) as (rig, engines), asyncio.TaskGroup() as greedy:
        for engine in engines.values():
            engine.gate.set()
        sockets = [greedy.create_task(ask_on(rig)) for _ in range(SOCKETS)]
        async with talking(rig, MODEST) as modest:
            for _ in range(QUESTIONS):
                busy = engines[chance.choice(list(Stage))]
                await busy.until(served=len(busy.served) + chance.randrange(1, SOCKETS))
                await speak(modest)
                await modest.until("turn_finished")
        for socket in sockets:
            socket.cancel()
    for engine in engines.values():
        # Its own call may have been the last one.
        assert len(engine.passed_by) >= QUESTIONS
        assert max(engine.passed_by) <= 1
        assert engine.served.count(GREEDY) > engine.served.count(MODEST)


async def test_a_tenant_that_asks_too_much_is_told_when_to_ask_again() -> None:
    script = Script(tenants=Tenants(by_id={GREEDY: TenantQuota(questions_per_minute=1)}))
    async with speech_rig(script) as rig:
        async with talking(rig, GREEDY) as first, talking(rig, GREEDY) as second:
            await first.send(text("Is it one?"))
            await first.until("turn_finished")
            await second.send(text("Or is it two?"))
            await second.until("turn_failed")
            # The application speaks as before.
            await second.send(say("We will be back in a minute."))
            await second.until("turn_finished")
        async with talking(rig, MODEST) as talk:
            for _ in range(2):
                await talk.send(text("And is it two?"))
                await talk.until("turn_finished")
        assert len(rig.chat.prompts) == 3
        spoken = rig.stub.Synthesize(
            pb.SynthesizeRequest(text="Hello.", language_code="en"),
            metadata=to_metadata(Caller(tenant_id=GREEDY)),
        )
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await spoken.read()
        assert from_rpc_error(refused.value).reason is Reason.TALK_RATE_EXCEEDED
    error = from_status(second.last("turn_failed").status)
    assert error is not None
    assert error.reason is Reason.TALK_RATE_EXCEEDED
    assert error.retry_after_s
    assert second.events[0].turn_started.user_text == "Or is it two?"
