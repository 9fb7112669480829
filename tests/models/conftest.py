"""The embedded providers with their real models, loaded once for all tests of this folder."""

import json
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from services.speech.embedded.library import (
    LanguageModel,
    LibrarySettings,
    default_models,
    open_store,
)
from services.speech.embedded.store import ModelStore
from services.speech.ports.recognition import RecognitionRequest
from tests.support.embedded import EmbeddedStack, embedded_stack
from tests.support.resampling import resample

DATA = Path(__file__).parents[1] / "data"
RECORDINGS = DATA / "speech"
ANSWERS = DATA / "answers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recorded utterance and what is said in it."""

    name: str
    text: str
    language_code: str
    pcm: bytes


def recordings_in(folder: Path) -> list[Recording]:
    """The recordings that a folder's manifest lists."""
    return [
        Recording(
            name=entry["file"],
            text=entry["text"],
            language_code=entry["language_code"],
            pcm=_read(folder / entry["file"]),
        )
        for entry in json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    ]


@pytest.fixture(scope="session")
def recordings() -> Sequence[Recording]:
    return recordings_in(RECORDINGS)


def _read(path: Path) -> bytes:
    with wave.open(str(path)) as file:
        return file.readframes(file.getnframes())


@pytest.fixture(scope="session")
def is_thorough(pytestconfig: pytest.Config) -> bool:
    """Whether all is said and heard that there is, and not only a share of it."""
    return bool(pytestconfig.getoption("thorough"))


@pytest.fixture(scope="session")
def store() -> ModelStore:
    store = open_store(LibrarySettings())
    store.ensure(default_models(LanguageModel.SMALL))
    return store


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(store: ModelStore) -> AsyncIterator[EmbeddedStack]:
    async with embedded_stack(store) as stack:
        yield stack


@pytest.fixture(scope="session")
def transcribe(stack: EmbeddedStack) -> Callable[..., Awaitable[str]]:
    """Recognize PCM at 16 or 24 kHz, given in network-sized pieces."""

    async def transcribe(pcm: bytes, language_code: str, *, rate_hertz: int = 16_000) -> str:
        heard = pcm if rate_hertz == 16_000 else resample(pcm, rate_hertz)

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(heard), 640):
                yield heard[start : start + 640]

        transcripts = [
            transcript
            async for transcript in stack.recognizer.transcribe(
                pieces(), RecognitionRequest(language_codes=(language_code,))
            )
        ]
        assert [transcript.is_final for transcript in transcripts] == [True]
        return transcripts[0].text

    return transcribe
