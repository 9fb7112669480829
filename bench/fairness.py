"""`python -m bench.fairness`: what one tenant's sockets cost another, on the real models.

A caller asks aloud, push-to-talk, and waits for the first sound of the reply: alone, and beside the
sockets of another tenant, whose own waits are what a common queue would cost everybody.
"""

import argparse
import asyncio
import json
import logging
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import structlog

from bench.two_languages import real_speech
from digitalhuman.conversation.v1.conversation_pb2 import ConversationEvent
from digitalhuman.speech.v1 import speech_pb2 as pb
from digitalhuman.speech.v1.speech_pb2_grpc import SpeechServiceStub
from services.runtime.callers.caller import of_tenant, to_metadata
from services.runtime.failures.errors import from_status
from services.speech.embedded.library import (
    LibrarySettings,
    choose_language_model,
    default_models,
    open_store,
)
from services.speech.embedded.llama import LlamaChatModel
from services.speech.ports.synthesis import SpeechRequest
from services.speech.providers.embedded import only_file
from services.speech.streams import once
from tests.support.converse import COMMIT, Talk, audio, setup
from tests.support.embedded import THREADS, EmbeddedStack, embedded_stack
from tests.support.resampling import resample

QUESTION = "Hello, how are you today?"
BUSY, QUIET = "busy", "quiet"
_ENDS = ("turn_finished", "turn_failed", "speech_dismissed")


@asynccontextmanager
async def talking(stub: SpeechServiceStub, tenant_id: str) -> AsyncIterator[Talk]:
    """A conversation of a tenant, without a task; replies come back over it."""
    first = setup(task_id="", output=pb.REPLY_OUTPUT_AUDIO)
    async with Talk.on(stub, first, to_metadata(of_tenant(tenant_id))) as talk:
        yield talk


@dataclass(slots=True)
class Waits:
    """How long replies took to begin, and how many questions had none."""

    seconds: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    async def ask(self, talk: Talk, question: bytes) -> None:
        """Ask, and hear the reply to its end."""
        loop = asyncio.get_running_loop()
        await talk.send(*audio(question), COMMIT)
        asked_at = loop.time()
        told = await talk.until("playback_started", *_ENDS)
        if told.HasField("playback_started"):
            self.seconds.append(loop.time() - asked_at)
            told = await talk.until(*_ENDS)
        if not told.HasField("turn_finished"):
            self.failures[_failure(told)] += 1

    def report(self, who: str) -> None:
        """Print them."""
        figures: dict[str, Any] = {"replies": len(self.seconds)}
        if self.seconds:
            figures |= {
                "median_s": round(median(self.seconds), 2),
                "max_s": round(max(self.seconds), 2),
            }
        figures |= {"failures": dict(self.failures), "load": round(os.getloadavg()[0], 1)}
        print(json.dumps({"who": who, **figures}), flush=True)


def _failure(told: ConversationEvent) -> str:
    error = from_status(told.turn_failed.status)
    return error.reason if error else str(told.WhichOneof("event"))


async def ask_on(
    stub: SpeechServiceStub, question: bytes, all_talk: asyncio.Barrier, waits: Waits
) -> None:
    """Ask one question after the other, once everybody is there."""
    async with talking(stub, BUSY) as talk:
        await all_talk.wait()
        while True:
            await waits.ask(talk, question)


async def waits_of(
    stub: SpeechServiceStub, tenant_id: str, question: bytes, *, questions: int
) -> Waits:
    """Return how long the replies to some questions took to begin."""
    waits = Waits()
    async with talking(stub, tenant_id) as talk:
        for _ in range(questions):
            await waits.ask(talk, question)
    return waits


async def spoken(stack: EmbeddedStack) -> bytes:
    """Return the question as 16 kHz PCM."""
    request = SpeechRequest(voice_id="af_heart", language_code="en")
    chunks = stack.synthesizer.speak(once(QUESTION), request)
    pcm = b"".join([chunk.pcm async for chunk in chunks])
    return resample(pcm, stack.synthesizer.sample_rate_hertz)


async def measure(sockets: int, questions: int) -> None:
    """Print each figure as it is known."""
    library = LibrarySettings()
    store = open_store(library)
    chosen = choose_language_model(library)
    assert chosen.model is not None, "PARLEY_LLM must not be none"
    store.ensure(default_models(chosen))
    async with (
        embedded_stack(store) as models,
        LlamaChatModel.load(only_file(store, chosen.model), threads=THREADS) as chat,
        real_speech(models, chat) as stub,
    ):
        question = await spoken(models)
        alone = await waits_of(stub, QUIET, question, questions=questions)
        alone.report("alone")
        all_talk = asyncio.Barrier(sockets + 1)
        busy_waits = Waits()
        busy = [
            asyncio.create_task(ask_on(stub, question, all_talk, busy_waits))
            for _ in range(sockets)
        ]
        await all_talk.wait()
        quiet_waits = await waits_of(stub, QUIET, question, questions=questions)
        quiet_waits.report(f"beside {sockets} sockets of another tenant")
        busy_waits.report("these sockets themselves")
        for each in busy:
            each.cancel()
        await asyncio.wait(busy)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sockets", type=int, default=8)
    parser.add_argument("--questions", type=int, default=3)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    asyncio.run(measure(options.sockets, options.questions))


if __name__ == "__main__":
    main()
