"""Opens the providers that run within the service, from the models in the store.

Their modules are imported when they are opened: the dictionaries alone take half a second, for
which vendors' providers do not wait.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from services.speech.embedded.library import ASSETS, RECOGNITION_MODEL, SYNTHESIS_MODEL
from services.speech.embedded.punctual import PunctualChatModel
from services.speech.embedded.store import ModelStore
from services.speech.ports.chat import ChatMessage, ChatModel
from services.speech.ports.recognition import Recognizer
from services.speech.ports.synthesis import Synthesizer
from services.speech.provider_settings import EmbeddedChatSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedModels:
    """Where the models are, and with how many threads each runs."""

    store: ModelStore
    threads: int

    def open_recognizer(self) -> AbstractAsyncContextManager[Recognizer]:
        """The recognizer; raises ModelStoreError."""
        from services.speech.embedded.whisper import WhisperRecognizer

        folder = self.store.folder(RECOGNITION_MODEL)
        return WhisperRecognizer.load(folder, threads=self.threads)

    @asynccontextmanager
    async def open_chat(
        self, settings: EmbeddedChatSettings, name: str, read_ahead: Sequence[ChatMessage]
    ) -> AsyncIterator[ChatModel]:
        """The language model of this name, which has read some prompts; raises ModelStoreError."""
        from services.speech.embedded.llama import LlamaChatModel

        path = only_file(self.store, name)
        async with LlamaChatModel.load(path, threads=self.threads, read_ahead=read_ahead) as llama:
            yield PunctualChatModel(llama, first_byte_s=settings.first_byte_s)

    def open_synthesizer(self) -> AbstractAsyncContextManager[Synthesizer]:
        """The synthesizer; raises ModelStoreError."""
        from services.speech.embedded.synthesizer import KokoroSynthesizer

        path = only_file(self.store, SYNTHESIS_MODEL)
        return KokoroSynthesizer.load(path, voices=ASSETS / "voices", threads=self.threads)


def only_file(store: ModelStore, name: str) -> Path:
    """Return the path of a model that is one file; raises ModelStoreError."""
    [file] = store.manifest[name].files
    return store.folder(name) / file.name
