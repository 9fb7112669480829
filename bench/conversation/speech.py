"""`python -m bench.conversation.speech`: the speech service, on timed fakes or scripted vendors."""

import gc
import json
import os
from contextlib import AsyncExitStack

from pydantic import SecretStr

from bench.conversation.fakes import (
    CertainTurnModel,
    LoudnessDetector,
    TimedChat,
    TimedRecognizer,
    TimedSynthesizer,
)
from services.runtime.process import run, until_stopped
from services.runtime.settings.environment import load
from services.runtime.telemetry.logs import configure_logs
from services.speech.app import Providers, running
from services.speech.embedded.detector import EarshotDetector
from services.speech.listening.audio_input import Listening
from services.speech.listening.rules import ListeningRules
from services.speech.personas.catalogue import load_personas
from services.speech.providers.factory import Trio
from services.speech.settings import SpeechSettings
from services.speech.vendors.registry import (
    CHATS,
    RECOGNIZERS,
    SYNTHESIZERS,
    open_chat,
    open_recognizer,
    open_synthesizer,
)

VENDORS = "BENCH_VENDORS"
"""The addresses of scripted vendors, as JSON, by stage; otherwise timed fakes."""
EARS = "BENCH_EARS"
"""`real` for the embedded voice detector; otherwise one without cost."""


async def main() -> None:
    """Serve until a signal arrives."""
    settings = load(SpeechSettings)
    configure_logs("speech")
    async with AsyncExitStack() as life:
        trio = await open_trio(life, json.loads(os.environ.get(VENDORS, "{}")))
        await serve(settings, trio)


async def open_trio(life: AsyncExitStack, addresses: dict[str, str]) -> Trio:
    """Open the adapters of vendors at these addresses; without any, timed fakes."""
    if not addresses:
        return Trio(recognizer=TimedRecognizer(), chat=TimedChat(), synthesizer=TimedSynthesizer())
    key = SecretStr("bench")
    recognizer = RECOGNIZERS["deepgram"].settings(
        setting="SPEECH_RECOGNIZER", base_url=addresses["recognizer"], api_key=key
    )
    chat = CHATS["openai"].settings(
        setting="SPEECH_CHAT", base_url=addresses["chat"], api_key=key, model="scripted"
    )
    synthesizer = SYNTHESIZERS["elevenlabs"].settings(
        setting="SPEECH_SYNTHESIZER", base_url=addresses["synthesizer"], api_key=key
    )
    return Trio(
        recognizer=await life.enter_async_context(open_recognizer(recognizer)),
        chat=await life.enter_async_context(open_chat(chat)),
        synthesizer=await life.enter_async_context(open_synthesizer(synthesizer)),
    )


async def serve(settings: SpeechSettings, trio: Trio) -> None:
    """Serve with these providers until a signal arrives."""
    has_real_ears = os.environ.get(EARS) == "real"
    providers = Providers(
        default=trio,
        embedder=None,
        listening=Listening(
            make_detector=EarshotDetector if has_real_ears else LoudnessDetector,
            turn_end=CertainTurnModel(),
            rules=ListeningRules(no_speech_s=0.0),
        ),
    )
    async with running(
        settings.serving_options,
        providers=providers,
        personas=load_personas(settings.personas_folder, default_id=settings.default_persona),
        task_target=settings.task_target,
        avatar_target=settings.avatar_target,
        drain_s=settings.drain_s,
    ):
        gc.freeze()
        await until_stopped()


if __name__ == "__main__":
    run("speech", main)
