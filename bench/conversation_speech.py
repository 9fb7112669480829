"""`python -m bench.conversation_speech`: the speech service as a process, on timed providers."""

import gc
import os

from bench.conversation_fakes import (
    CertainTurnModel,
    LoudnessDetector,
    TimedChat,
    TimedRecognizer,
    TimedSynthesizer,
)
from services.runtime.logs import configure_logs
from services.runtime.process import run, until_stopped
from services.runtime.settings import load
from services.speech.app import Providers, running, serving_options
from services.speech.embedded.detector import EarshotDetector
from services.speech.listening.audio_input import Listening
from services.speech.listening.rules import ListeningRules
from services.speech.personas.catalogue import load_personas
from services.speech.providers.factory import Trio
from services.speech.settings import SpeechSettings

EARS = "BENCH_EARS"
"""`real` for the embedded voice detector; otherwise one without cost."""


async def main() -> None:
    """Serve until a signal arrives."""
    settings = load(SpeechSettings)
    configure_logs("speech")
    has_real_ears = os.environ.get(EARS) == "real"
    providers = Providers(
        default=Trio(
            recognizer=TimedRecognizer(), chat=TimedChat(), synthesizer=TimedSynthesizer()
        ),
        embedder=None,
        listening=Listening(
            make_detector=EarshotDetector if has_real_ears else LoudnessDetector,
            turn_end=CertainTurnModel(),
            rules=ListeningRules(no_speech_s=0.0),
        ),
    )
    async with running(
        serving_options(settings),
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
