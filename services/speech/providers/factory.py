"""Opens who does the work of each stage, and who takes over, as the settings say."""

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeAlias, TypeVar

from services.runtime.proxies import proxy_for
from services.runtime.settings import SettingsError
from services.speech.embedded.library import (
    ASSETS,
    RECOGNITION_MODEL,
    SYNTHESIS_MODEL,
    LibrarySettings,
    choose_language_model,
)
from services.speech.embedded.llama import LlamaChatModel
from services.speech.embedded.punctual import PunctualChatModel
from services.speech.embedded.store import ModelStore
from services.speech.embedded.synthesizer import VOICES, KokoroSynthesizer
from services.speech.embedded.whisper import WhisperRecognizer
from services.speech.ports import ChatMessage, ChatModel, Recognizer, Synthesizer, Voice
from services.speech.providers.failover.breaker import OutageRules
from services.speech.providers.failover.chat import FailoverChatModel
from services.speech.providers.failover.recognizer import FailoverRecognizer
from services.speech.providers.failover.relay import FailoverRules
from services.speech.providers.failover.synthesizer import FailoverSynthesizer
from services.speech.providers.http.client import Endpoint
from services.speech.providers.metering import (
    MeteredChatModel,
    MeteredRecognizer,
    MeteredSynthesizer,
)
from services.speech.providers.openai_chat import OpenAiChatModel
from services.speech.providers.openai_speech import OpenAiSynthesizer
from services.speech.providers.openai_transcription import OpenAiRecognizer
from services.speech.settings import Fallback, Provider, SpeechSettings
from services.speech.streams import Deadlines
from services.speech.voices import VoiceOffer

RECOGNITION = Deadlines(first_s=20, next_s=20, total_s=20)
CHAT = Deadlines(first_s=15, next_s=10, total_s=60)
SYNTHESIS = Deadlines(first_s=15, next_s=10, total_s=60)

P = TypeVar("P")

Embedded: TypeAlias = Callable[[], AbstractAsyncContextManager[P]]
Remote: TypeAlias = Callable[[str], AbstractAsyncContextManager[P]]


@asynccontextmanager
async def open_recognizer(settings: SpeechSettings, store: ModelStore) -> AsyncIterator[Recognizer]:
    """The recognizer; raises ModelStoreError."""

    def embedded() -> AbstractAsyncContextManager[Recognizer]:
        return WhisperRecognizer.load(store.folder(RECOGNITION_MODEL), threads=settings.threads)

    def openai(stage: str) -> AbstractAsyncContextManager[Recognizer]:
        return OpenAiRecognizer.open(endpoint(settings, stage, RECOGNITION))

    async with _chosen("recognizer", settings, embedded, openai) as (first, *others):
        if not others:
            yield MeteredRecognizer(first)
            return
        rules = _rules(settings, settings.recognizer_first_byte_s)
        async with FailoverRecognizer.open([first, *others], rules) as recognizer:
            yield recognizer


@asynccontextmanager
async def open_synthesizer(
    settings: SpeechSettings, store: ModelStore
) -> AsyncIterator[Synthesizer]:
    """The synthesizer; raises ModelStoreError, and SettingsError for unknown voices."""
    check_voices(settings)

    def embedded() -> AbstractAsyncContextManager[Synthesizer]:
        path = only_file(store, SYNTHESIS_MODEL)
        return KokoroSynthesizer.load(path, voices=ASSETS / "voices", threads=settings.threads)

    def openai(stage: str) -> AbstractAsyncContextManager[Synthesizer]:
        voice_ids = _voice_ids(settings, stage)
        return OpenAiSynthesizer.open(endpoint(settings, stage, SYNTHESIS), voice_ids=voice_ids)

    async with _chosen("synthesizer", settings, embedded, openai) as (first, *others):
        if not others:
            yield MeteredSynthesizer(first)
            return
        rules = _rules(settings, settings.synthesizer_first_byte_s)
        async with FailoverSynthesizer.open(
            [first, *others], rules, voices_of=settings.fallback_voices
        ) as synthesizer:
            yield synthesizer


def voice_offer(settings: SpeechSettings, stage: str = "synthesizer") -> VoiceOffer:
    """Return the voices that the synthesizer, or its fallback, will have, without opening it."""
    chosen: Provider | Fallback = getattr(settings, stage)
    voices: Sequence[Voice] = VOICES
    if chosen.value == Provider.OPENAI.value:
        voices = [
            Voice(voice_id=each, display_name=each, language_codes=())
            for each in _voice_ids(settings, stage)
        ]
    return VoiceOffer(synthesizer=chosen.value, voices=voices)


def _voice_ids(settings: SpeechSettings, stage: str) -> list[str]:
    names: str = getattr(settings, f"{stage}_voices")
    return [each.strip() for each in names.split(",")]


@asynccontextmanager
async def open_chat(
    settings: SpeechSettings,
    store: ModelStore,
    library: LibrarySettings,
    *,
    read_ahead: Sequence[ChatMessage],
) -> AsyncIterator[ChatModel | None]:
    """The language model, None where the settings want none; raises ModelStoreError.

    An embedded one reads the prompts of `read_ahead`, so that the first reply to each comes as
    soon as any other. Raises SettingsError for a fallback that is none.
    """
    check_language_model(settings, library)
    name = choose_language_model(library).model
    if name is None and settings.chat is Provider.EMBEDDED:
        yield None
        return

    @asynccontextmanager
    async def embedded() -> AsyncIterator[ChatModel]:
        assert name is not None  # Checked above.
        path = only_file(store, name)
        async with LlamaChatModel.load(path, threads=settings.threads) as llama:
            for prompt in read_ahead:
                await llama.prime([prompt])
            yield PunctualChatModel(llama, first_byte_s=settings.chat_embedded_first_byte_s)

    def openai(stage: str) -> AbstractAsyncContextManager[ChatModel]:
        return OpenAiChatModel.open(
            endpoint(settings, stage, CHAT),
            max_tokens=settings.chat_max_tokens or None,
            temperature=settings.chat_temperature,
        )

    async with _chosen("chat", settings, embedded, openai) as (first, *others):
        if not others:
            yield MeteredChatModel(first)
            return
        rules = _rules(settings, settings.chat_first_byte_s)
        async with FailoverChatModel.open([first, *others], rules) as chat:
            yield chat


@asynccontextmanager
async def _chosen(
    stage: str, settings: SpeechSettings, embedded: Embedded[P], openai: Remote[P]
) -> AsyncIterator[list[P]]:
    """The provider of a stage, and its fallback if there is one."""
    async with AsyncExitStack() as stack:
        providers = []
        for setting in (stage, f"{stage}_fallback"):
            chosen: Provider | Fallback = getattr(settings, setting)
            match chosen.value:
                case "embedded":
                    providers.append(await stack.enter_async_context(embedded()))
                case "openai":
                    providers.append(await stack.enter_async_context(openai(setting)))
        yield providers


def _rules(settings: SpeechSettings, first_byte_s: float) -> FailoverRules:
    return FailoverRules(first_byte_s=first_byte_s, outage=OutageRules(tries=settings.outage_tries))


def check_voices(settings: SpeechSettings) -> None:
    """Raise SettingsError for pairs of voices that the two synthesizers do not have."""
    if settings.synthesizer_fallback is Fallback.NONE:
        return
    first, fallback = (
        {voice.voice_id for voice in voice_offer(settings, stage).voices}
        for stage in ("synthesizer", "synthesizer_fallback")
    )
    pairs = settings.fallback_voices
    unknown = [*(pairs.keys() - first), *(set(pairs.values()) - fallback)]
    if unknown:
        raise SettingsError(
            "SPEECH_SYNTHESIZER_FALLBACK_VOICE_PAIRS: there is no voice "
            + ", ".join(sorted(unknown))
        )


def check_language_model(settings: SpeechSettings, library: LibrarySettings) -> None:
    """Raise SettingsError for a fallback of, or to, an embedded model where there is none."""
    if choose_language_model(library).model is not None or settings.chat_fallback is Fallback.NONE:
        return
    if settings.chat is Provider.EMBEDDED or settings.chat_fallback is Fallback.EMBEDDED:
        raise SettingsError("SPEECH_CHAT_FALLBACK: needs a language model, and PARLEY_LLM is none")


def endpoint(settings: SpeechSettings, stage: str, deadlines: Deadlines) -> Endpoint:
    """Return where the vendor of a stage, or of its fallback, is reached."""
    base_url: str = getattr(settings, f"{stage}_base_url")
    return Endpoint(
        name="openai-fallback" if stage.endswith("_fallback") else "openai",
        base_url=base_url,
        api_key=settings.key_of(stage),
        model=getattr(settings, f"{stage}_model"),
        deadlines=deadlines,
        proxy=proxy_for(base_url, os.environ),
    )


def only_file(store: ModelStore, name: str) -> Path:
    """Return the path of a model that is one file; raises ModelStoreError."""
    [file] = store.manifest[name].files
    return store.folder(name) / file.name
