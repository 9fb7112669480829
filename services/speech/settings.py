"""The settings of the speech service, read from SPEECH_* and a few shared variables."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Generic, Self, TypeAlias, TypeVar, Union

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from services.runtime.links import ServiceSettings
from services.runtime.security.identities import Identity
from services.runtime.settings.groups import NONE, Choice, Option, SettingsGroup
from services.runtime.settings.values import Name, Port, Target, Targets
from services.speech.provider_settings import (
    EMBEDDED,
    ChatVendorSettings,
    EmbeddedChatSettings,
    EmbeddedRecognizerSettings,
    EmbeddedSynthesizerSettings,
    SynthesizerVendorSettings,
    VendorSettings,
)
from services.speech.vendors.registry import CHATS, RECOGNIZERS, SYNTHESIZERS

PERSONAS = Path(__file__).parents[2] / "personas"
PROVIDERS = Path(__file__).parents[2] / "providers.toml"

RECOGNITION_FIRST_BYTE_S = 5.0
CHAT_FIRST_BYTE_S = 4.0
SYNTHESIS_FIRST_BYTE_S = 4.0
Patience: TypeAlias = Annotated[float, Field(ge=0.1, le=15)]
"""Seconds without an answer after which the next provider is asked."""

P = TypeVar("P", bound=Option)

if TYPE_CHECKING:
    RecognizerProvider: TypeAlias = EmbeddedRecognizerSettings | VendorSettings
    ChatProvider: TypeAlias = EmbeddedChatSettings | ChatVendorSettings
    SynthesizerProvider: TypeAlias = EmbeddedSynthesizerSettings | SynthesizerVendorSettings
else:

    def _options(embedded, vendors):
        return Union[(embedded, *(each.settings for each in vendors.values()))]

    RecognizerProvider = _options(EmbeddedRecognizerSettings, RECOGNIZERS)
    ChatProvider = _options(EmbeddedChatSettings, CHATS)
    SynthesizerProvider = _options(EmbeddedSynthesizerSettings, SYNTHESIZERS)


class StageSettings(SettingsGroup, Generic[P]):
    """Who serves a stage, who takes over, and when."""

    first: P
    fallback: P | None
    first_byte_s: float

    @property
    def providers(self) -> tuple[P, ...]:
        """Return them in the order in which they are asked."""
        return (self.first,) if self.fallback is None else (self.first, self.fallback)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if faults := "\n".join(self._faults()):
            raise ValueError(faults)
        return self

    def _faults(self) -> Iterator[str]:
        """Yield what is wrong with the choices together."""
        return repeated(self.providers)


def repeated(providers: Sequence[Option]) -> Iterator[str]:
    """Yield a fault for each provider that fails with one before it, as it is the same."""
    for at, later in enumerate(providers):
        for earlier in providers[:at]:
            if not isinstance(later, VendorSettings):
                if later.kind == earlier.kind:
                    yield f"{later.setting} must be another provider than {earlier.setting}"
            elif isinstance(earlier, VendorSettings) and _served_at(earlier) == _served_at(later):
                told = f"{later.told('base_url')} or {later.told('model')}"
                yield f"{told} must differ from {earlier.setting}'s"


def _served_at(vendor: VendorSettings) -> tuple[str, str, str]:
    return vendor.kind, vendor.base_url, vendor.model


class RecognizerSettings(StageSettings[RecognizerProvider]):
    """Who recognizes speech."""

    first: Annotated[
        RecognizerProvider,
        Choice(
            variable="SPEECH_RECOGNIZER",
            default=EMBEDDED,
            description="who recognises speech",
        ),
    ]
    fallback: Annotated[
        RecognizerProvider | None,
        Choice(
            variable="SPEECH_RECOGNIZER_FALLBACK",
            default=NONE,
            description="who recognises speech when the first fails",
        ),
    ]
    first_byte_s: Patience = Field(
        RECOGNITION_FIRST_BYTE_S,
        description="seconds from the end of speech after which the fallback is asked",
    )


class ChatSettings(StageSettings[ChatProvider]):
    """Who replies."""

    first: Annotated[
        ChatProvider,
        Choice(variable="SPEECH_CHAT", default=EMBEDDED, description="who replies"),
    ]
    fallback: Annotated[
        ChatProvider | None,
        Choice(
            variable="SPEECH_CHAT_FALLBACK",
            default=NONE,
            description="who replies when the first fails",
        ),
    ]
    first_byte_s: Patience = Field(
        CHAT_FIRST_BYTE_S,
        description="seconds without a first word after which the fallback is asked",
    )


class SynthesizerSettings(StageSettings[SynthesizerProvider]):
    """Who speaks."""

    first: Annotated[
        SynthesizerProvider,
        Choice(
            variable="SPEECH_SYNTHESIZER",
            default=EMBEDDED,
            description="who speaks",
        ),
    ]
    fallback: Annotated[
        SynthesizerProvider | None,
        Choice(
            variable="SPEECH_SYNTHESIZER_FALLBACK",
            default=NONE,
            description="who speaks when the first fails",
        ),
    ]
    first_byte_s: Patience = Field(
        SYNTHESIS_FIRST_BYTE_S,
        description="seconds without a first sound after which the fallback is asked",
    )
    fallback_voice_pairs: str = Field(
        "",
        description="which of the fallback's voices stands for which voice:"
        " zf_xiaoxiao=nova,zm_yunxi=ash; default: one of the same name, else the first of the"
        " language",
    )

    @property
    def fallback_voices(self) -> dict[str, str]:
        """Which of the fallback's voices stands for which of the first synthesizer's."""
        return dict(self._voice_pairs())

    def _faults(self) -> Iterator[str]:
        yield from super()._faults()
        if any(not all(pair) for pair in self._voice_pairs()):
            yield "SPEECH_SYNTHESIZER_FALLBACK_VOICE_PAIRS must be like one=two,three=four"

    def _voice_pairs(self) -> list[tuple[str, str]]:
        pairs = []
        for pair in filter(None, self.fallback_voice_pairs.split(",")):
            voice_id, _, other_id = pair.partition("=")
            pairs.append((voice_id.strip(), other_id.strip()))
        return pairs


class SpeechSettings(ServiceSettings):
    """Everything that a deployment can choose about conversations."""

    model_config = SettingsConfigDict(env_prefix="SPEECH_")
    identity: ClassVar = Identity.SPEECH

    port: Port = Field(50052, description="port to listen on")
    task_target: Targets = Field(
        "127.0.0.1:50051",
        description="where the task service listens; several replicas: separated by"
        " commas, or dns:///host:port",
    )
    avatar_target: Targets = Field(
        "127.0.0.1:50053",
        description="where the avatar service listens; several replicas: separated by"
        " commas, or dns:///host:port",
    )
    advertised_address: Target | None = Field(
        None,
        description="host:port by which gateways reach this replica; default: where it listens",
    )
    drain_s: float = Field(
        10.0,
        ge=0,
        le=300,
        description="seconds that running turns may still take at shutdown before they are cut off",
    )
    personas: Path | None = Field(
        None, description="folder of persona files; default: those that come with Parley"
    )
    providers: Path | None = Field(
        None,
        description="file of providers and profiles; default: providers.toml beside .env, if there"
        " is one. With it SPEECH_RECOGNIZER, SPEECH_CHAT and SPEECH_SYNTHESIZER must be unset",
    )
    tenants_file: Path | None = Field(
        None,
        validation_alias="TENANTS_FILE",
        description="file of what each tenant may use; default: no quotas",
    )
    default_persona: Name = Field(
        "concierge", description="persona of conversations that name none"
    )
    threads: int = Field(2, ge=1, le=64, description="threads of each embedded model")

    recognizer: RecognizerSettings
    chat: ChatSettings
    synthesizer: SynthesizerSettings

    outage_tries: int = Field(
        2,
        ge=1,
        le=100,
        description="failures in a row after which a provider with a fallback is left alone,"
        " until a probe is answered",
    )

    @property
    def vendors(self) -> tuple[VendorSettings, ...]:
        """Return the providers on the network that the environment names."""
        stages = (self.recognizer, self.chat, self.synthesizer)
        providers = (each for stage in stages for each in stage.providers)
        return tuple(each for each in providers if isinstance(each, VendorSettings))

    def vendor_urls(self) -> tuple[str, ...]:
        """Return the APIs of the stages that are not embedded."""
        return tuple(each.base_url for each in self.vendors)

    @property
    def personas_folder(self) -> Path:
        """Where the persona files are."""
        return self.personas or PERSONAS

    @property
    def providers_file(self) -> Path | None:
        """The file of providers; None if the environment says who serves each stage."""
        if self.providers is not None:
            return self.providers
        return PROVIDERS if PROVIDERS.exists() else None
