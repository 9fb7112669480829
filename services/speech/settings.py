"""The settings of the speech service, read from SPEECH_* and a few shared variables."""

from enum import StrEnum
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from services.runtime.settings import ProcessSettings

OPENAI_URL = "https://api.openai.com/v1"
PERSONAS = Path(__file__).parents[2] / "personas"


class Provider(StrEnum):
    """Who does the work of a stage."""

    EMBEDDED = "embedded"
    OPENAI = "openai"


class SpeechSettings(ProcessSettings):
    """Everything that a deployment can choose about conversations."""

    model_config = SettingsConfigDict(env_prefix="SPEECH_")

    host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    port: int = Field(50052, ge=0, le=65535, description="port to listen on")
    metrics_port: int = Field(0, ge=0, le=65535, description="port of metrics; 0 for none")
    reflection: bool = Field(
        False, validation_alias="PARLEY_REFLECTION", description="whether gRPC reflection is on"
    )
    service_token: SecretStr | None = Field(
        None,
        validation_alias="PARLEY_SERVICE_TOKEN",
        description="what other services must show; unset: nothing",
    )
    task_target: str = Field(
        "127.0.0.1:50051", min_length=1, description="where the task service listens"
    )
    avatar_target: str = Field(
        "127.0.0.1:50053", min_length=1, description="where the avatar service listens"
    )
    personas: Path | None = Field(
        None, description="folder of persona files; default: those that come with Parley"
    )
    default_persona: str = Field(
        "concierge", min_length=1, description="persona of conversations that name none"
    )
    threads: int = Field(2, ge=1, le=64, description="threads of each embedded model")

    openai_api_key: SecretStr | None = Field(
        None,
        validation_alias="OPENAI_API_KEY",
        description="key for api.openai.com, of every stage that has none of its own",
    )

    recognizer: Provider = Field(
        Provider.EMBEDDED, description="who recognises speech: embedded, openai"
    )
    recognizer_base_url: str = Field(OPENAI_URL, description="the API before /audio/transcriptions")
    recognizer_model: str = Field(
        "gpt-4o-mini-transcribe", min_length=1, description="model of the recognizer"
    )
    recognizer_api_key: SecretStr | None = Field(None, description="key of the recognizer")

    chat: Provider = Field(Provider.EMBEDDED, description="who replies: embedded, openai")
    chat_base_url: str = Field(OPENAI_URL, description="the API before /chat/completions")
    chat_model: str = Field("gpt-4o-mini", min_length=1, description="the language model")
    chat_api_key: SecretStr | None = Field(None, description="key of the language model")

    synthesizer: Provider = Field(Provider.EMBEDDED, description="who speaks: embedded, openai")
    synthesizer_base_url: str = Field(OPENAI_URL, description="the API before /audio/speech")
    synthesizer_model: str = Field(
        "gpt-4o-mini-tts", min_length=1, description="model of the synthesizer"
    )
    synthesizer_api_key: SecretStr | None = Field(None, description="key of the synthesizer")
    synthesizer_voices: str = Field(
        "coral,alloy,ash,ballad,echo,fable,nova,onyx,sage,shimmer",
        min_length=1,
        description="voices of the openai synthesizer, separated by commas, the default first",
    )

    @model_validator(mode="after")
    def _check_providers(self) -> Self:
        missing = []
        for stage in ("recognizer", "chat", "synthesizer"):
            if getattr(self, stage) is not Provider.OPENAI:
                continue
            url = getattr(self, f"{stage}_base_url")
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                missing.append(f"SPEECH_{stage.upper()}_BASE_URL must be an http(s) address")
            elif url == OPENAI_URL and self.key_of(stage) is None:
                missing.append(
                    f"SPEECH_{stage.upper()}_API_KEY or OPENAI_API_KEY must be set"
                    f" with SPEECH_{stage.upper()}=openai"
                )
        if missing:
            raise ValueError("; ".join(missing))
        return self

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
