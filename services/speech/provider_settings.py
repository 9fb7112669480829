"""Who may serve each stage of a turn, and the settings of each provider.

A stage's enum names its providers, its union holds their settings, and `providers/vendors.py` opens
those that are on the network. docs/providers.md shows how to add one.
"""

from enum import StrEnum
from typing import ClassVar, Self, TypeAlias

from pydantic import Field, SecretStr, model_validator

from services.runtime.groups import Option
from services.runtime.values import ApiUrl, Name, Names, Secret

OPENAI_URL = "https://api.openai.com/v1"
OPENAI_VOICES = "coral,alloy,ash,ballad,echo,fable,nova,onyx,sage,shimmer"


class RecognizerKind(StrEnum):
    """Who may recognize speech."""

    EMBEDDED = "embedded"
    OPENAI = "openai"


class ChatKind(StrEnum):
    """Who may reply."""

    EMBEDDED = "embedded"
    OPENAI = "openai"


class SynthesizerKind(StrEnum):
    """Who may speak."""

    EMBEDDED = "embedded"
    OPENAI = "openai"


class EmbeddedRecognizerSettings(Option):
    """The recognizer that runs within the service."""

    kind: ClassVar[RecognizerKind] = RecognizerKind.EMBEDDED


class EmbeddedChatSettings(Option):
    """The language model that runs within the service; PARLEY_LLM says which."""

    kind: ClassVar[ChatKind] = ChatKind.EMBEDDED
    first_byte_s: float = Field(
        30.0,
        ge=1,
        le=600,
        validation_alias="SPEECH_CHAT_EMBEDDED_FIRST_BYTE_S",
        description="seconds without a first word after which a reply of the embedded model fails,"
        " such as on a machine that is too busy",
    )


class EmbeddedSynthesizerSettings(Option):
    """The synthesizer that runs within the service."""

    kind: ClassVar[SynthesizerKind] = SynthesizerKind.EMBEDDED


class VendorSettings(Option):
    """A provider on the network."""

    base_url: ApiUrl
    model: Name
    api_key: Secret | None = Field(None, description="key of the API")

    @property
    def name(self) -> str:
        """The provider's name in logs and metrics."""
        return f"{self.kind}-fallback" if self.setting.endswith("_FALLBACK") else self.kind.value

    @property
    def key(self) -> SecretStr | None:
        """The key to send; None for an API that wants none."""
        return self.api_key


class ChatVendorSettings(VendorSettings):
    """A language model on the network; the first and its fallback share these settings."""

    max_tokens: int = Field(
        300,
        ge=0,
        le=100_000,
        validation_alias="SPEECH_CHAT_MAX_TOKENS",
        description="longest reply of an openai model and its fallback, in tokens, thinking"
        " included; 0 for the model's own limit",
    )
    temperature: float = Field(
        0.5,
        ge=0,
        le=2,
        validation_alias="SPEECH_CHAT_TEMPERATURE",
        description="how freely they choose their words; not sent again to a model that refuses it",
    )


class SynthesizerVendorSettings(VendorSettings):
    """A synthesizer on the network."""

    voices: Names

    @property
    def voice_ids(self) -> tuple[str, ...]:
        """The voices on offer, the default first."""
        return tuple(each.strip() for each in self.voices.split(","))


class OpenAiSettings(VendorSettings):
    """An OpenAI-compatible API."""

    base_url: ApiUrl = OPENAI_URL
    shared_key: Secret | None = Field(
        None,
        validation_alias="OPENAI_API_KEY",
        description="key for api.openai.com, of every stage that has none of its own",
    )

    @property
    def key(self) -> SecretStr | None:
        """The stage's own key; the shared one goes to OpenAI alone."""
        if self.api_key is None and self.base_url == OPENAI_URL:
            return self.shared_key
        return self.api_key

    @model_validator(mode="after")
    def _check_key(self) -> Self:
        if self.base_url == OPENAI_URL and self.key is None:
            raise ValueError(
                f"{self.setting}_API_KEY or OPENAI_API_KEY must be set with {self.setting}=openai"
            )
        return self


class OpenAiTranscriptionSettings(OpenAiSettings):
    """A recognizer behind `POST /audio/transcriptions`."""

    kind: ClassVar[RecognizerKind] = RecognizerKind.OPENAI
    base_url: ApiUrl = Field(OPENAI_URL, description="the API before /audio/transcriptions")
    model: Name = Field("gpt-4o-mini-transcribe", description="model of the recognizer")


class OpenAiChatSettings(OpenAiSettings, ChatVendorSettings):
    """A language model behind `POST /chat/completions`."""

    kind: ClassVar[ChatKind] = ChatKind.OPENAI
    base_url: ApiUrl = Field(OPENAI_URL, description="the API before /chat/completions")
    model: Name = Field("gpt-4o-mini", description="the language model")


class OpenAiSpeechSettings(OpenAiSettings, SynthesizerVendorSettings):
    """Voices behind `POST /audio/speech`."""

    kind: ClassVar[SynthesizerKind] = SynthesizerKind.OPENAI
    base_url: ApiUrl = Field(OPENAI_URL, description="the API before /audio/speech")
    model: Name = Field("gpt-4o-mini-tts", description="model of the synthesizer")
    voices: Names = Field(
        OPENAI_VOICES,
        description="voices of the openai synthesizer, separated by commas, the default first",
    )


RecognizerVendor: TypeAlias = OpenAiTranscriptionSettings
ChatVendor: TypeAlias = OpenAiChatSettings
SynthesizerVendor: TypeAlias = OpenAiSpeechSettings

RecognizerProvider: TypeAlias = EmbeddedRecognizerSettings | RecognizerVendor
ChatProvider: TypeAlias = EmbeddedChatSettings | ChatVendor
SynthesizerProvider: TypeAlias = EmbeddedSynthesizerSettings | SynthesizerVendor
