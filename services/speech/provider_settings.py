"""The settings of the embedded providers, and what those of vendors have in common.

A vendor's own are in its file in `vendors/`. docs/providers.md shows how to add one.
"""

from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from services.runtime.settings.groups import Option
from services.runtime.settings.values import ApiUrl, Name, Names, Secret, split_list

OPENAI_URL = "https://api.openai.com/v1"
EMBEDDED = "embedded"


class EmbeddedRecognizerSettings(Option):
    """The recognizer that runs within the service."""

    kind: ClassVar[str] = EMBEDDED


class EmbeddedChatSettings(Option):
    """The language model that runs within the service; PARLEY_LLM says which."""

    kind: ClassVar[str] = EMBEDDED
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

    kind: ClassVar[str] = EMBEDDED


class Price(BaseModel):
    """What a vendor charges, in units of a currency; what is absent costs nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    currency: str = Field("USD", pattern="^[A-Z]{3}$", description="ISO 4217")
    per_million_input_tokens: float = Field(0.0, ge=0)
    per_million_cached_tokens: float | None = Field(
        None, ge=0, description="of the input tokens, those that are cached; default: as the others"
    )
    per_million_output_tokens: float = Field(0.0, ge=0)
    per_million_characters: float = Field(0.0, ge=0)
    per_audio_minute: float = Field(0.0, ge=0)


def _price(given: Any) -> Any:
    """Return a table for the text of a variable: `per_audio_minute=0.006,currency=EUR`."""
    if not isinstance(given, str):
        return given
    parts = [each.partition("=") for each in split_list(given)]
    if not all(sign for _, sign, _ in parts):
        raise ValueError("must be like per_audio_minute=0.006,currency=EUR")
    return {name.strip(): value.strip() for name, _, value in parts}


class VendorSettings(Option):
    """A provider on the network."""

    needs_key: ClassVar[bool] = False
    """Whether the vendor takes nothing without a key."""

    base_url: ApiUrl
    model: Name
    api_key: Secret | None = Field(None, description="key of the API")
    first_answer_s: float | None = Field(
        None,
        ge=0.1,
        le=120,
        description="seconds until a request without any answer fails; default: the stage's",
    )
    next_answer_s: float | None = Field(
        None,
        ge=0.1,
        le=120,
        description="seconds until an answer that does not go on fails; default: the stage's",
    )
    price: Annotated[Price | None, BeforeValidator(_price)] = Field(
        None,
        description="what it costs, such as per_million_input_tokens=0.15,"
        "per_million_output_tokens=0.6,currency=USD; docs/providers.md has all units",
    )

    @property
    def name(self) -> str:
        """The provider's name in logs and metrics."""
        if self.table:
            return self.table
        return f"{self.kind}-fallback" if self.setting.endswith("_FALLBACK") else self.kind

    @property
    def key(self) -> SecretStr | None:
        """The key to send; None for an API that wants none."""
        return self.api_key

    @model_validator(mode="after")
    def _check_needed_key(self) -> Self:
        if self.needs_key and self.key is None:
            raise ValueError(f"{self.told('api_key')} must be set with {self.setting}={self.kind}")
        return self


class ChatVendorSettings(VendorSettings):
    """A language model on the network; the first and its fallback share these settings."""

    max_tokens: int = Field(
        300,
        ge=0,
        le=100_000,
        validation_alias="SPEECH_CHAT_MAX_TOKENS",
        description="longest reply of a vendor's model and its fallback, in tokens, thinking"
        " included; 0 for the model's own limit",
    )
    temperature: float = Field(
        0.5,
        ge=0,
        le=2,
        validation_alias="SPEECH_CHAT_TEMPERATURE",
        description="how freely they choose their words; not sent again to a model that refuses it",
    )


class PauseSettings(VendorSettings):
    """A recognizer on the network that hears pauses, which may end turns."""

    ends_turns: bool = Field(
        True,
        description="whether its pauses end turns; otherwise the service judges, by sound and"
        " words",
    )
    turn_silence_ms: int = Field(
        300,
        ge=50,
        le=60_000,
        description="how much more silence makes the end of the turn certain, in milliseconds",
    )

    @property
    def turn_silence_s(self) -> float | None:
        """The silence that makes a likely end certain; None if no pause ends a turn."""
        return self.turn_silence_ms / 1000 if self.ends_turns else None


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
                f"{self.told('api_key')} or OPENAI_API_KEY must be set with"
                f" {self.setting}=openai at its default address"
            )
        return self
