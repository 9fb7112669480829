"""Profiles: who serves each stage of a conversation, in the order in which they are asked."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Generic, Self, TypeVar

from services.runtime.settings.groups import Option
from services.speech.provider_settings import VendorSettings
from services.speech.settings import ChatProvider, RecognizerProvider, SynthesizerProvider

P = TypeVar("P", bound=Option)

DEFAULT = "default"
"""The name of the only profile, where the environment says who serves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain(Generic[P]):
    """The providers of a stage in order.

    The next one is asked after a failure, or `first_byte_s` without an answer.
    """

    providers: tuple[P, ...]
    first_byte_s: float

    @property
    def first(self) -> P:
        """The provider that is asked first."""
        return self.providers[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Who serves each stage.

    `voices` has, for synthesizers after the first, by the variable or table that set each: which of
    its voices stands for which voice of the first.
    """

    name: str
    recognizer: Chain[RecognizerProvider]
    chat: Chain[ChatProvider]
    synthesizer: Chain[SynthesizerProvider]
    voices: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def providers(self) -> tuple[Option, ...]:
        """All of them."""
        return (*self.recognizer.providers, *self.chat.providers, *self.synthesizer.providers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiles:
    """The profiles of a deployment."""

    by_name: Mapping[str, Profile]
    default_name: str

    @property
    def default(self) -> Profile:
        """The profile of personas that choose none."""
        return self.by_name[self.default_name]

    def only(self, names: Set[str]) -> Self:
        """Return these profiles and the default one."""
        kept = {*names, self.default_name}
        return replace(
            self, by_name={name: each for name, each in self.by_name.items() if name in kept}
        )

    @property
    def providers(self) -> tuple[Option, ...]:
        """All providers, each once."""
        return tuple({each.setting: each for each in self._providers()}.values())

    @property
    def vendors(self) -> tuple[VendorSettings, ...]:
        """Those on the network."""
        return tuple(each for each in self.providers if isinstance(each, VendorSettings))

    def _providers(self) -> Iterator[Option]:
        for profile in self.by_name.values():
            yield from profile.providers
