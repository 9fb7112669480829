"""The settings of the speech service, read from SPEECH_* and a few shared variables."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from services.runtime.settings import ProcessSettings
from services.runtime.values import ApiUrl, Host, Name, Names, Port, Secret, Target

OPENAI_URL = "https://api.openai.com/v1"
PERSONAS = Path(__file__).parents[2] / "personas"


class Provider(StrEnum):
    """Who does the work of a stage."""

    EMBEDDED = "embedded"
    OPENAI = "openai"


class Fallback(StrEnum):
    """Who takes over a stage."""

    NONE = "none"
    EMBEDDED = "embedded"
    OPENAI = "openai"


OPENAI_VOICES = "coral,alloy,ash,ballad,echo,fable,nova,onyx,sage,shimmer"
_STAGES = ("recognizer", "chat", "synthesizer")


class SpeechSettings(ProcessSettings):
    """Everything that a deployment can choose about conversations."""

    model_config = SettingsConfigDict(env_prefix="SPEECH_")

    host: Host = Field("127.0.0.1", description="address to listen on")
    port: Port = Field(50052, description="port to listen on")
    metrics_port: Port = Field(0, description="port of metrics; 0 for none")
    reflection: bool = Field(
        False, validation_alias="PARLEY_REFLECTION", description="whether gRPC reflection is on"
    )
    service_token: Secret | None = Field(
        None,
        validation_alias="PARLEY_SERVICE_TOKEN",
        description="what other services must show; unset: nothing",
    )
    task_target: Target = Field("127.0.0.1:50051", description="where the task service listens")
    avatar_target: Target = Field("127.0.0.1:50053", description="where the avatar service listens")
    personas: Path | None = Field(
        None, description="folder of persona files; default: those that come with Parley"
    )
    default_persona: Name = Field(
        "concierge", description="persona of conversations that name none"
    )
    threads: int = Field(2, ge=1, le=64, description="threads of each embedded model")

    openai_api_key: Secret | None = Field(
        None,
        validation_alias="OPENAI_API_KEY",
        description="key for api.openai.com, of every stage that has none of its own",
    )

    recognizer: Provider = Field(
        Provider.EMBEDDED, description="who recognises speech: embedded, openai"
    )
    recognizer_base_url: ApiUrl = Field(
        OPENAI_URL, description="the API before /audio/transcriptions"
    )
    recognizer_model: Name = Field("gpt-4o-mini-transcribe", description="model of the recognizer")
    recognizer_api_key: Secret | None = Field(None, description="key of the recognizer")
    recognizer_fallback: Fallback = Field(
        Fallback.NONE,
        description="who recognises speech when the first fails: none, embedded, openai",
    )
    recognizer_fallback_base_url: ApiUrl = Field(
        OPENAI_URL, description="the fallback's API before /audio/transcriptions"
    )
    recognizer_fallback_model: Name = Field(
        "gpt-4o-mini-transcribe", description="model of the fallback"
    )
    recognizer_fallback_api_key: Secret | None = Field(None, description="key of the fallback")
    recognizer_first_byte_s: float = Field(
        5.0,
        ge=0.1,
        le=15,
        description="seconds from the end of speech after which the fallback is asked",
    )

    chat: Provider = Field(Provider.EMBEDDED, description="who replies: embedded, openai")
    chat_base_url: ApiUrl = Field(OPENAI_URL, description="the API before /chat/completions")
    chat_model: Name = Field("gpt-4o-mini", description="the language model")
    chat_api_key: Secret | None = Field(None, description="key of the language model")
    chat_max_tokens: int = Field(
        300,
        ge=0,
        le=100_000,
        description="longest reply of an openai model and its fallback, in tokens, thinking"
        " included; 0 for the model's own limit",
    )
    chat_temperature: float = Field(
        0.5,
        ge=0,
        le=2,
        description="how freely they choose their words; not sent any more to a model that"
        " refuses it",
    )
    chat_fallback: Fallback = Field(
        Fallback.NONE, description="who replies when the first fails: none, embedded, openai"
    )
    chat_fallback_base_url: ApiUrl = Field(
        OPENAI_URL, description="the fallback's API before /chat/completions"
    )
    chat_fallback_model: Name = Field("gpt-4o-mini", description="model of the fallback")
    chat_fallback_api_key: Secret | None = Field(None, description="key of the fallback")
    chat_first_byte_s: float = Field(
        4.0,
        ge=0.1,
        le=15,
        description="seconds without a first word after which the fallback is asked",
    )
    chat_embedded_first_byte_s: float = Field(
        30.0,
        ge=1,
        le=600,
        description="seconds without a first word after which a reply of the embedded model fails,"
        " such as on a machine that is too busy",
    )

    synthesizer: Provider = Field(Provider.EMBEDDED, description="who speaks: embedded, openai")
    synthesizer_base_url: ApiUrl = Field(OPENAI_URL, description="the API before /audio/speech")
    synthesizer_model: Name = Field("gpt-4o-mini-tts", description="model of the synthesizer")
    synthesizer_api_key: Secret | None = Field(None, description="key of the synthesizer")
    synthesizer_voices: Names = Field(
        OPENAI_VOICES,
        description="voices of the openai synthesizer, separated by commas, the default first",
    )
    synthesizer_fallback: Fallback = Field(
        Fallback.NONE, description="who speaks when the first fails: none, embedded, openai"
    )
    synthesizer_fallback_base_url: ApiUrl = Field(
        OPENAI_URL, description="the fallback's API before /audio/speech"
    )
    synthesizer_fallback_model: Name = Field("gpt-4o-mini-tts", description="model of the fallback")
    synthesizer_fallback_api_key: Secret | None = Field(None, description="key of the fallback")
    synthesizer_first_byte_s: float = Field(
        4.0,
        ge=0.1,
        le=15,
        description="seconds without a first sound after which the fallback is asked",
    )
    synthesizer_fallback_voices: Names = Field(
        OPENAI_VOICES,
        description="voices of an openai fallback, separated by commas, the default first",
    )
    synthesizer_fallback_voice_pairs: str = Field(
        "",
        description="which of them stands for which voice: zf_xiaoxiao=nova,zm_yunxi=ash;"
        " default: one of the same name, else the first of the language",
    )

    outage_tries: int = Field(
        2,
        ge=1,
        le=100,
        description="failures in a row after which a provider with a fallback is left alone,"
        " until a probe is answered",
    )

    @model_validator(mode="after")
    def _check_providers(self) -> Self:
        faults = [
            fault
            for stage in _STAGES
            for fault in (
                *self._endpoint_faults(stage, getattr(self, stage)),
                *self._endpoint_faults(f"{stage}_fallback", getattr(self, f"{stage}_fallback")),
                *self._fallback_faults(stage),
            )
        ]
        if any(not all(pair) for pair in self._voice_pairs()):
            faults.append("SPEECH_SYNTHESIZER_FALLBACK_VOICE_PAIRS must be like one=two,three=four")
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def _endpoint_faults(self, stage: str, provider: Provider | Fallback) -> Iterator[str]:
        if provider.value != Provider.OPENAI.value:
            return
        if getattr(self, f"{stage}_base_url") == OPENAI_URL and self.key_of(stage) is None:
            yield (
                f"SPEECH_{stage.upper()}_API_KEY or OPENAI_API_KEY must be set"
                f" with SPEECH_{stage.upper()}=openai"
            )

    def _fallback_faults(self, stage: str) -> Iterator[str]:
        """A fallback that is the first provider again falls with it."""
        first: Provider = getattr(self, stage)
        fallback: Fallback = getattr(self, f"{stage}_fallback")
        name = f"SPEECH_{stage.upper()}"
        match first, fallback:
            case Provider.EMBEDDED, Fallback.EMBEDDED:
                yield f"{name}_FALLBACK must be another provider than {name}"
            case Provider.OPENAI, Fallback.OPENAI if self._place(stage) == self._place(
                f"{stage}_fallback"
            ):
                yield f"{name}_FALLBACK_BASE_URL or _MODEL must differ from {name}'s"

    def _place(self, stage: str) -> tuple[str, str]:
        return getattr(self, f"{stage}_base_url"), getattr(self, f"{stage}_model")

    def _voice_pairs(self) -> list[tuple[str, str]]:
        pairs = []
        for pair in filter(None, self.synthesizer_fallback_voice_pairs.split(",")):
            voice_id, _, other_id = pair.partition("=")
            pairs.append((voice_id.strip(), other_id.strip()))
        return pairs

    @property
    def fallback_voices(self) -> dict[str, str]:
        """Which of the fallback's voices stands for which of the first synthesizer's."""
        return dict(self._voice_pairs())

    def vendor_urls(self) -> tuple[str, ...]:
        """Return the APIs of the stages that are not embedded."""
        stages = [name for stage in _STAGES for name in (stage, f"{stage}_fallback")]
        return tuple(
            getattr(self, f"{stage}_base_url")
            for stage in stages
            if getattr(self, stage).value == Provider.OPENAI.value
        )

    def key_of(self, stage: str) -> SecretStr | None:
        """Return the key for a stage; OpenAI's own goes to OpenAI alone."""
        own: SecretStr | None = getattr(self, f"{stage}_api_key")
        if own is None and getattr(self, f"{stage}_base_url") == OPENAI_URL:
            return self.openai_api_key
        return own

    @property
    def personas_folder(self) -> Path:
        """Where the persona files are."""
        return self.personas or PERSONAS
