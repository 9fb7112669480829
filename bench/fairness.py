"""`python -m bench.fairness`: what one tenant's sockets cost another, on the real models.

A caller asks aloud, push-to-talk, and waits for the first sound of the reply: alone, and beside the
sockets of another tenant, whose own waits are what a common queue would cost everybody.
"""

import argparse
import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from statistics import median

import structlog

from bench.two_languages import real_speech
from digitalhuman.speech.v1 import speech_pb2 as pb
from digitalhuman.speech.v1.speech_pb2_grpc import SpeechServiceStub
from services.runtime.caller import of_tenant, to_metadata
from services.speech.embedded.library import (
    LibrarySettings,
    choose_language_model,
    default_models,
    open_store,
)
from services.speech.embedded.llama import LlamaChatModel
from services.speech.ports import SpeechRequest
from services.speech.providers.embedded import only_file
from services.speech.streams import once
from tests.support.embedded import THREADS, EmbeddedStack, embedded_stack
from tests.support.resampling import resample
from tests.support.speech import COMMIT, Talk, audio, setup

QUESTION = "Hello, how are you today?"
BUSY, QUIET = "busy", "quiet"


@asynccontextmanager
async def talking(stub: SpeechServiceStub, tenant_id: str) -> AsyncIterator[Talk]:
    """A conversation of a tenant, without a task; replies come back over it."""
    first = setup(task_id="", output=pb.REPLY_OUTPUT_AUDIO)
    async with Talk.on(stub, first, to_metadata(of_tenant(tenant_id))) as talk:
        yield talk


async def first_sound_s(talk: Talk, question: bytes) -> float:
    """Ask, hear the reply to its end, and return after how many seconds it began."""
    loop = asyncio.get_running_loop()
    await talk.send(*audio(question), COMMIT)
    asked_at = loop.time()
    await talk.until("playback_started")
    seconds = loop.time() - asked_at
    await talk.until("turn_finished")
    return seconds


async def ask_on(
    stub: SpeechServiceStub, question: bytes, all_talk: asyncio.Barrier, waits: list[float]
) -> None:
    """Ask one question after the other, once everybody is there."""
    async with talking(stub, BUSY) as talk:
        await all_talk.wait()
        while True:
            waits.append(await first_sound_s(talk, question))


async def waits_of(
    stub: SpeechServiceStub, tenant_id: str, question: bytes, *, questions: int
) -> Sequence[float]:
    """Return how long the replies to some questions took to begin."""
    async with talking(stub, tenant_id) as talk:
        return [await first_sound_s(talk, question) for _ in range(questions)]


def report(who: str, waits: Sequence[float]) -> None:
    """Print how long the first sound took."""
    figures: dict[str, float] = {"replies": len(waits)}
    if waits:
        figures |= {"median_s": round(median(waits), 2), "max_s": round(max(waits), 2)}
    print(json.dumps({"who": who, **figures, "load": os.getloadavg()[0]}), flush=True)


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
        report("alone", await waits_of(stub, QUIET, question, questions=questions))
        all_talk = asyncio.Barrier(sockets + 1)
        busy_waits: list[float] = []
        busy = [
            asyncio.create_task(ask_on(stub, question, all_talk, busy_waits))
            for _ in range(sockets)
        ]
        await all_talk.wait()
        quiet_waits = await waits_of(stub, QUIET, question, questions=questions)
        report(f"beside {sockets} sockets of another tenant", quiet_waits)
        report("these sockets themselves", busy_waits)
        for each in busy:
            each.cancel()
        await asyncio.wait(busy)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sockets", type=int, default=24)
    parser.add_argument("--questions", type=int, default=5)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    asyncio.run(measure(options.sockets, options.questions))


if __name__ == "__main__":
    main()
