"""`python -m tests.support.scripted_speech`: the speech service, on scripted providers."""

import asyncio
from collections.abc import AsyncIterator

from services.runtime.process import run, until_stopped
from services.runtime.serving.advertising import advertised_address
from services.runtime.settings.environment import load
from services.runtime.telemetry.logs import configure_logs
from services.speech.app import Providers, running
from services.speech.listening.audio_input import Listening
from services.speech.listening.rules import ListeningRules
from services.speech.ports.chat import ChatItem, ChatRequest
from services.speech.providers.factory import Trio
from services.speech.settings import SpeechSettings
from tests.support.loudness import LoudnessDetector
from tests.support.scripted_personas import scripted_personas
from tests.support.scripted_providers import ScriptedRecognizer, ScriptedSynthesizer

ENDLESS_QUESTION = "What comes next?"
REPLY = ("This is the beginning of it. ", "And this is the end.")


class Storyteller:
    """Comes to no end when it is asked the endless question."""

    name = "scripted"

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatItem]:
        """Yield the reply."""
        beginning, end = REPLY
        yield beginning
        if request.messages[-1].content.endswith(ENDLESS_QUESTION):
            await asyncio.get_running_loop().create_future()
        yield end


async def main() -> None:
    """Serve until a signal comes."""
    settings = load(SpeechSettings)
    configure_logs("speech")
    address = advertised_address(
        settings.advertised_address, host=settings.host, port=settings.port, prefix="SPEECH"
    )
    listening = Listening(
        make_detector=LoudnessDetector, turn_end=None, rules=ListeningRules(no_speech_s=0.0)
    )
    async with running(
        settings.serving_options,
        providers=Providers(
            default=Trio(
                recognizer=ScriptedRecognizer(),
                chat=Storyteller(),
                synthesizer=ScriptedSynthesizer(),
            ),
            embedder=None,
            listening=listening,
        ),
        personas=scripted_personas(),
        task_target=settings.task_target,
        avatar_target=settings.avatar_target,
        address=address,
        drain_s=settings.drain_s,
    ):
        await until_stopped()


if __name__ == "__main__":
    run("speech", main)
