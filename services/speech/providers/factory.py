"""Opens who serves each stage, and who takes over, as the settings say."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TypeVar

from services.speech.embedded.library import LibrarySettings, choose_language_model
from services.speech.embedded.store import ModelStore
from services.speech.ports import ChatMessage, ChatModel, Recognizer, Synthesizer
from services.speech.provider_settings import (
    EmbeddedChatSettings,
    EmbeddedRecognizerSettings,
    EmbeddedSynthesizerSettings,
)
from services.speech.providers.checks import check_language_model, check_voices
from services.speech.providers.embedded import EmbeddedModels
from services.speech.providers.failover.breaker import OutageRules
from services.speech.providers.failover.chat import FailoverChatModel
from services.speech.providers.failover.recognizer import FailoverRecognizer
from services.speech.providers.failover.relay import FailoverRules
from services.speech.providers.failover.synthesizer import FailoverSynthesizer
from services.speech.providers.metering import (
    MeteredChatModel,
    MeteredRecognizer,
    MeteredSynthesizer,
)
from services.speech.settings import (
    ChatProvider,
    RecognizerProvider,
    SpeechSettings,
    SynthesizerProvider,
)
from services.speech.vendors import registry

P = TypeVar("P")


@asynccontextmanager
async def open_recognizer(settings: SpeechSettings, store: ModelStore) -> AsyncIterator[Recognizer]:
    """The recognizer; raises ModelStoreError."""
    models = EmbeddedModels(store=store, threads=settings.threads)

    def opened(provider: RecognizerProvider) -> AbstractAsyncContextManager[Recognizer]:
        match provider:
            case EmbeddedRecognizerSettings():
                return models.open_recognizer()
            case vendor:
                return registry.open_recognizer(vendor)

    rules = _rules(settings, settings.recognizer.first_byte_s)
    async with _joined(
        [opened(each) for each in settings.recognizer.providers],
        metered=MeteredRecognizer,
        failover=lambda recognizers: FailoverRecognizer.open(recognizers, rules),
    ) as recognizer:
        yield recognizer


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
    soon as any other. Raises SettingsError when the fallback needs an embedded one and there is
    none.
    """
    check_language_model(settings, library)
    name = choose_language_model(library).model
    if name is None and isinstance(settings.chat.first, EmbeddedChatSettings):
        yield None
        return
    models = EmbeddedModels(store=store, threads=settings.threads)

    def opened(provider: ChatProvider) -> AbstractAsyncContextManager[ChatModel]:
        match provider:
            case EmbeddedChatSettings():
                assert name is not None  # Checked above.
                return models.open_chat(provider, name, read_ahead)
            case vendor:
                return registry.open_chat(vendor)

    rules = _rules(settings, settings.chat.first_byte_s)
    async with _joined(
        [opened(each) for each in settings.chat.providers],
        metered=MeteredChatModel,
        failover=lambda chats: FailoverChatModel.open(chats, rules),
    ) as chat:
        yield chat


@asynccontextmanager
async def open_synthesizer(
    settings: SpeechSettings, store: ModelStore
) -> AsyncIterator[Synthesizer]:
    """The synthesizer; raises ModelStoreError, and SettingsError for unknown voices."""
    check_voices(settings)
    models = EmbeddedModels(store=store, threads=settings.threads)

    def opened(provider: SynthesizerProvider) -> AbstractAsyncContextManager[Synthesizer]:
        match provider:
            case EmbeddedSynthesizerSettings():
                return models.open_synthesizer()
            case vendor:
                return registry.open_synthesizer(vendor)

    rules = _rules(settings, settings.synthesizer.first_byte_s)
    voices_of = settings.synthesizer.fallback_voices
    async with _joined(
        [opened(each) for each in settings.synthesizer.providers],
        metered=MeteredSynthesizer,
        failover=lambda voices: FailoverSynthesizer.open(voices, rules, voices_of=voices_of),
    ) as synthesizer:
        yield synthesizer


@asynccontextmanager
async def _joined(
    opening: Sequence[AbstractAsyncContextManager[P]],
    *,
    metered: Callable[[P], P],
    failover: Callable[[Sequence[P]], AbstractAsyncContextManager[P]],
) -> AsyncIterator[P]:
    """Several providers as one with failover, which counts its calls itself, or the only one."""
    async with AsyncExitStack() as stack:
        providers = [await stack.enter_async_context(each) for each in opening]
        match providers:
            case [only]:
                yield metered(only)
            case _:
                yield await stack.enter_async_context(failover(providers))


def _rules(settings: SpeechSettings, first_byte_s: float) -> FailoverRules:
    return FailoverRules(first_byte_s=first_byte_s, outage=OutageRules(tries=settings.outage_tries))
