"""The embedded providers of voice and knowledge at once, for tests of the models themselves."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from services.speech.embedded.detector import EarshotDetector
from services.speech.embedded.embedder import E5Embedder
from services.speech.embedded.library import (
    ASSETS,
    RECOGNITION_MODEL,
    SYNTHESIS_MODEL,
    LibrarySettings,
)
from services.speech.embedded.store import ModelStore
from services.speech.embedded.synthesizer import KokoroSynthesizer
from services.speech.embedded.turn_end import SmartTurnModel
from services.speech.embedded.whisper import WhisperRecognizer
from services.speech.listening.ports import VoiceDetector
from services.speech.ports.recognition import Recognizer
from services.speech.ports.synthesis import Synthesizer
from services.speech.providers.embedded import only_file

THREADS = 1
"""Other tests run beside: threads that wait for each other at every step would wait for those."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedStack:
    """Loaded providers; a detector is made for each audio stream."""

    recognizer: Recognizer
    synthesizer: Synthesizer
    embedder: E5Embedder
    turn_end: SmartTurnModel
    make_detector: Callable[[], VoiceDetector]


@contextlib.asynccontextmanager
async def embedded_stack(store: ModelStore) -> AsyncIterator[EmbeddedStack]:
    """Load and warm up everything; raises ModelStoreError if a model is not in the store."""
    whisper = store.folder(RECOGNITION_MODEL)
    kokoro = only_file(store, SYNTHESIS_MODEL)
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        providers = EmbeddedStack(
            recognizer=await enter(WhisperRecognizer.load(whisper, threads=THREADS)),
            synthesizer=await enter(
                KokoroSynthesizer.load(kokoro, voices=ASSETS / "voices", threads=THREADS)
            ),
            embedder=await enter(E5Embedder.load(threads=THREADS, cache=LibrarySettings().cache)),
            turn_end=await enter(
                SmartTurnModel.load(ASSETS / "smart-turn-v3.2-cpu.onnx", threads=THREADS)
            ),
            make_detector=EarshotDetector,
        )
        yield providers
