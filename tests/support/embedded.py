"""All embedded providers at once, for tests of the models themselves."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from services.speech.embedded.detector import EarshotDetector
from services.speech.embedded.embedder import E5Embedder
from services.speech.embedded.library import (
    ASSETS,
    RECOGNITION_MODEL,
    SYNTHESIS_MODEL,
    LanguageModel,
    LibrarySettings,
)
from services.speech.embedded.llama import LlamaChatModel
from services.speech.embedded.store import ModelStore
from services.speech.embedded.synthesizer import KokoroSynthesizer
from services.speech.embedded.turn_end import SmartTurnModel
from services.speech.embedded.whisper import WhisperRecognizer
from services.speech.ports import VoiceDetector

THREADS = 1
"""Other tests run beside: threads that wait for each other at every step would wait for those."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedStack:
    """Loaded providers; a detector is made for each audio stream."""

    recognizer: WhisperRecognizer
    chat: LlamaChatModel | None
    synthesizer: KokoroSynthesizer
    embedder: E5Embedder
    turn_end: SmartTurnModel
    make_detector: Callable[[], VoiceDetector]


@contextlib.asynccontextmanager
async def embedded_stack(store: ModelStore, *, llm: LanguageModel) -> AsyncIterator[EmbeddedStack]:
    """Load and warm up everything; raises ModelStoreError if a model is not in the store."""
    whisper = store.folder(RECOGNITION_MODEL)
    kokoro = _only_file(store, SYNTHESIS_MODEL)
    gguf = None if llm.model is None else _only_file(store, llm.model)
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        providers = EmbeddedStack(
            recognizer=await enter(WhisperRecognizer.load(whisper, threads=THREADS)),
            chat=None if gguf is None else await enter(LlamaChatModel.load(gguf, threads=THREADS)),
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


def _only_file(store: ModelStore, name: str) -> Path:
    [file] = store.manifest[name].files
    return store.folder(name) / file.name
