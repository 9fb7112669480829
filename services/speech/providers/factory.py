"""Opens who serves each stage of each profile, and who takes over.

A provider is opened once, for all profiles that name it; profiles that name the same ones in the
same order share what is made of them.
"""

from collections.abc import AsyncIterator, Callable, Hashable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from services.runtime.settings.groups import Option
from services.speech.embedded.library import LibrarySettings, choose_language_model
from services.speech.embedded.store import ModelStore
from services.speech.ports.chat import ChatMessage, ChatModel
from services.speech.ports.recognition import Recognizer
from services.speech.ports.synthesis import Synthesizer
from services.speech.profiles.profile import Chain, Profile, Profiles
from services.speech.provider_settings import (
    EmbeddedChatSettings,
    EmbeddedRecognizerSettings,
    EmbeddedSynthesizerSettings,
    Price,
    VendorSettings,
)
from services.speech.providers.checks import check_profiles
from services.speech.providers.counting import (
    CountedChatModel,
    CountedRecognizer,
    CountedSynthesizer,
)
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
from services.speech.providers.plain_chat import PlainChatModel
from services.speech.settings import (
    ChatProvider,
    RecognizerProvider,
    SynthesizerProvider,
)
from services.speech.vendors import registry

P = TypeVar("P")
S = TypeVar("S", bound=Option)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trio:
    """What serves the stages of a turn; without a `chat` model only curated answers are given."""

    recognizer: Recognizer
    chat: ChatModel | None
    synthesizer: Synthesizer


@asynccontextmanager
async def open_profiles(
    profiles: Profiles,
    store: ModelStore,
    library: LibrarySettings,
    *,
    threads: int,
    outage: OutageRules,
    read_ahead: Sequence[ChatMessage],
) -> AsyncIterator[Mapping[str, Trio]]:
    """What serves each profile.

    An embedded language model reads the prompts of `read_ahead`, so that the first reply to each
    comes as soon as any other. Raises ModelStoreError when a model is missing, SettingsError for
    choices that cannot work together.
    """
    check_profiles(profiles, library)
    async with AsyncExitStack() as stack:
        opener = _Opener(
            stack,
            EmbeddedModels(store=store, threads=threads),
            chat_model=choose_language_model(library).model,
            outage=outage,
            read_ahead=read_ahead,
        )
        yield {name: await opener.open(profile) for name, profile in profiles.by_name.items()}


class _Opener:
    """Keeps what is open, so that nothing is opened twice."""

    def __init__(
        self,
        stack: AsyncExitStack,
        models: EmbeddedModels,
        *,
        chat_model: str | None,
        outage: OutageRules,
        read_ahead: Sequence[ChatMessage],
    ) -> None:
        self._stack = stack
        self._models = models
        self._chat_model = chat_model
        self._outage = outage
        self._read_ahead = read_ahead
        self._open: dict[Hashable, Any] = {}

    async def open(self, profile: Profile) -> Trio:
        """Return what serves a profile."""
        voices = profile.voices
        return Trio(
            recognizer=await self._joined(
                profile.recognizer,
                self._recognizer,
                counted=CountedRecognizer,
                metered=MeteredRecognizer,
                failover=FailoverRecognizer.open,
            ),
            chat=await self._open_chat(profile.chat),
            synthesizer=await self._joined(
                profile.synthesizer,
                self._synthesizer,
                counted=CountedSynthesizer,
                metered=MeteredSynthesizer,
                failover=partial(_failover_synthesizer, profile),
                key=tuple((name, tuple(pairs.items())) for name, pairs in voices.items()),
            ),
        )

    async def _open_chat(self, chain: Chain[ChatProvider]) -> ChatModel | None:
        if self._chat_model is None and isinstance(chain.first, EmbeddedChatSettings):
            return None
        return await self._joined(
            chain,
            self._chat,
            counted=CountedChatModel,
            metered=MeteredChatModel,
            failover=FailoverChatModel.open,
        )

    async def _joined(
        self,
        chain: Chain[S],
        open: Callable[[S], AbstractAsyncContextManager[P]],
        *,
        counted: Callable[[P, Price | None], P],
        metered: Callable[[P], P],
        failover: Callable[[Sequence[P], FailoverRules], AbstractAsyncContextManager[P]],
        key: Hashable = (),
    ) -> P:
        """Return a chain as one with failover, which counts its calls itself, or the only one."""
        settings = tuple(each.setting for each in chain.providers)
        providers = [
            counted(await self._once(each.setting, partial(open, each)), _price(each))
            for each in chain.providers
        ]
        match providers:
            case [only]:
                return metered(only)
            case _:
                rules = FailoverRules(first_byte_s=chain.first_byte_s, outage=self._outage)
                return await self._once(
                    (settings, chain.first_byte_s, key), lambda: failover(providers, rules)
                )

    async def _once(self, key: Hashable, open: Callable[[], AbstractAsyncContextManager[P]]) -> P:
        if key not in self._open:
            self._open[key] = await self._stack.enter_async_context(open())
        found: P = self._open[key]
        return found

    def _recognizer(self, provider: RecognizerProvider) -> AbstractAsyncContextManager[Recognizer]:
        match provider:
            case EmbeddedRecognizerSettings():
                return self._models.open_recognizer()
            case vendor:
                return registry.open_recognizer(vendor)

    def _chat(self, provider: ChatProvider) -> AbstractAsyncContextManager[ChatModel]:
        match provider:
            case EmbeddedChatSettings():
                assert self._chat_model is not None  # Checked at the beginning.
                return self._models.open_chat(provider, self._chat_model, self._read_ahead)
            case vendor:
                return _plain(registry.open_chat(vendor))

    def _synthesizer(
        self, provider: SynthesizerProvider
    ) -> AbstractAsyncContextManager[Synthesizer]:
        match provider:
            case EmbeddedSynthesizerSettings():
                return self._models.open_synthesizer()
            case vendor:
                return registry.open_synthesizer(vendor)


@asynccontextmanager
async def _plain(opening: AbstractAsyncContextManager[ChatModel]) -> AsyncIterator[ChatModel]:
    async with opening as model:
        yield PlainChatModel(model)


def _failover_synthesizer(
    profile: Profile, synthesizers: Sequence[Synthesizer], rules: FailoverRules
) -> AbstractAsyncContextManager[Synthesizer]:
    chain = profile.synthesizer
    named = {
        each.name: settings for each, settings in zip(synthesizers, chain.providers, strict=True)
    }
    return FailoverSynthesizer.open(
        synthesizers,
        rules,
        voices_of={
            name: profile.voices.get(settings.setting, {}) for name, settings in named.items()
        },
        of_first_vendor={
            name for name, settings in named.items() if settings.kind == chain.first.kind
        },
    )


def _price(provider: Option) -> Price | None:
    return provider.price if isinstance(provider, VendorSettings) else None
