"""The engine's settings, read from ENGINE_* environment variables."""

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    AnyHttpUrl,
    DirectoryPath,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from engine.face.layout import Layout
from engine.tasks.drives import DriveIds

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PREFIX = "ENGINE_"
SERVER_SECRET_CHARACTERS = 32
SECRET_CHARACTERS = 16
QUOTES = "\"'`“”‘’"


class SettingsError(Exception):
    """Some variables are missing or invalid; the message names each and what is expected."""


class SecretFiles(PydanticBaseSettingsSource):
    """Reads a secret from the file that `ENGINE_<NAME>_FILE` names."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(f"{PREFIX}{field_name.upper()}_FILE")
        if path is None or field.annotation not in (SecretStr, SecretStr | None):
            return None, field_name, False
        return Path(path).read_text().strip(), field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value is not None}


class EngineSettings(BaseSettings):
    """Every setting of the process; the description says what a value must be."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        env_ignore_empty=True,
    )

    host: str = Field("127.0.0.1", min_length=1, description="an address to listen on")
    port: int = Field(8090, ge=0, le=65535, description="the port of HTTP, 0 for any free one")
    drive_port: int = Field(
        8091, ge=0, le=65535, description="the port of drive sockets, 0 for any free one"
    )
    public_host: str = Field(
        "127.0.0.1", min_length=1, description="the name or address that callers reach"
    )
    drive_certificate: Path | None = Field(
        None, description="a file to write the certificate of drive sockets to, for its callers"
    )
    app_id: int = Field(ge=1, le=2**32 - 1, description="a number from 1 to 4294967295")
    server_secret: SecretStr = Field(
        description="32 ASCII characters without spaces; several, separated by commas: all are"
        " accepted"
    )
    signatures: Path | None = Field(
        None,
        description="a file that remembers which signatures of calls were used; without it they are"
        " forgotten at a restart",
    )
    callback_url: AnyHttpUrl | None = Field(
        None, description="an http(s) URL without a password that gets the callbacks"
    )
    callback_secret: SecretStr | None = Field(
        None,
        validate_default=True,
        description="the secret that signs callbacks, 16 or more ASCII characters without spaces,"
        " required with ENGINE_CALLBACK_URL; of several, separated by commas, the first",
    )
    callback_timestamps: Literal["ms", "s"] = Field(
        "ms", description="the unit of the callbacks' Timestamp: ms or s"
    )
    interrupted_status: Literal["ended", "interrupted"] = Field(
        "ended",
        description="what an interrupted drive is reported as: ended (4) or interrupted (5)",
    )
    drive_ids: DriveIds = Field(
        DriveIds.SINGLE_USE,
        description="whether a DriveId is good for one utterance (single-use), as documented, or"
        " for several (reusable)",
    )
    init_delay_s: float = Field(
        0.2, ge=0, le=60, description="seconds from create until on air, 0 to 60"
    )
    voice_url: AnyHttpUrl | None = Field(
        None,
        description="the base address of a speech API like OpenAI's, which speaks for DriveByText;"
        " by default there is no timbre",
    )
    voice_key: SecretStr | None = Field(
        None, description="the bearer key of that API, ASCII without spaces, if any"
    )
    debug_token: SecretStr | None = Field(
        None,
        min_length=16,
        description="a token of 16 or more ASCII characters without spaces that switches faults"
        " and recordings on, for tests; without one there are none",
    )
    audio_networks: Annotated[tuple[Network, ...], NoDecode] = Field(
        (),
        description="networks such as 10.0.0.0/8, separated by commas, that DriveByAudio may fetch"
        " files from besides the public internet",
    )
    max_tasks: int = Field(
        10, ge=1, le=1000, description="how many tasks may live at once, 1 to 1000"
    )
    workers: int = Field(1, ge=1, le=64, description="how many processes share the tasks, 1 to 64")
    max_late_share: float = Field(
        0.05,
        gt=0,
        le=1,
        description="the share of late ticks above which new tasks are refused, up to 1 for never",
    )
    layout: Layout = Field(
        Layout.SQUARE, description="the size of the picture: 512x512, 720x720 or 720x1280"
    )
    recordings_dir: DirectoryPath | None = Field(
        None, description="an existing folder for recordings, by default a temporary one"
    )
    recordings_bytes: int = Field(
        256 * 2**20, ge=2**20, description="bytes of recordings to keep, at least 1048576"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info",
        validation_alias=AliasChoices("ENGINE_LOG_LEVEL", "PARLEY_LOG_LEVEL"),
        description="debug, info, warning or error",
    )
    log_format: Literal["console", "json"] = Field(
        "console", validation_alias="PARLEY_LOG_FORMAT", description="console or json"
    )

    @property
    def server_secrets(self) -> tuple[str, ...]:
        """The account's secrets, of which the first is the current one."""
        return _split(self.server_secret)

    @property
    def signing_secret(self) -> str | None:
        """The secret that signs callbacks, if any."""
        return next(iter(_split(self.callback_secret)), None) if self.callback_secret else None

    def public_address(self, port: int) -> str:
        """Return the host:port at which callers reach a port."""
        host = f"[{self.public_host}]" if ":" in self.public_host else self.public_host
        return f"{host}:{port}"

    @field_validator("*", mode="before")
    @classmethod
    def _check_text(cls, value: Any) -> Any:
        # Leftovers of copying: line ends, invisible characters, quotation marks.
        if isinstance(value, str) and (not value.isprintable() or value.strip(QUOTES) != value):
            raise ValueError("not one line of plain text")
        return value

    @field_validator("audio_networks", mode="before")
    @classmethod
    def _split(cls, networks: Any) -> Any:
        if not isinstance(networks, str):
            return networks
        return [each.strip() for each in networks.split(",") if each.strip()]

    @field_validator("host", "public_host")
    @classmethod
    def _check_host(cls, host: str) -> str:
        try:
            ipaddress.ip_address(host)
        except ValueError:
            if not re.fullmatch(r"[\w.-]*[a-z_-][\w.-]*", host, re.ASCII | re.IGNORECASE):
                raise ValueError("neither a name nor an address") from None
        return host

    @field_validator("callback_url", "voice_url")
    @classmethod
    def _check_url(cls, url: AnyHttpUrl | None) -> AnyHttpUrl | None:
        if url is not None and (url.username or url.password):
            raise ValueError("holds a password")
        return url

    @field_validator("server_secret", "callback_secret", "voice_key", "debug_token")
    @classmethod
    def _check_secret(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and not re.fullmatch(r"[!-~]*", secret.get_secret_value()):
            raise ValueError("not visible ASCII")
        return secret

    @field_validator("server_secret")
    @classmethod
    def _check_server_secret(cls, secret: SecretStr) -> SecretStr:
        given = _split(secret)
        if not given or any(len(each) != SERVER_SECRET_CHARACTERS for each in given):
            raise ValueError("of another length")
        return secret

    @field_validator("callback_secret")
    @classmethod
    def _check_callback_secret(
        cls, secret: SecretStr | None, info: ValidationInfo
    ) -> SecretStr | None:
        if secret and any(len(each) < SECRET_CHARACTERS for each in _split(secret)):
            raise ValueError("too short")
        if info.data.get("callback_url") and not (secret and secret.get_secret_value()):
            raise ValueError("missing")
        return secret

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, SecretFiles(settings_cls)


def _split(secrets: SecretStr) -> tuple[str, ...]:
    return tuple(each for each in secrets.get_secret_value().split(",") if each)


def read_settings() -> EngineSettings:
    """Read the settings from the environment; raises `SettingsError` naming every bad variable."""
    try:
        return EngineSettings()
    except ValidationError as error:
        lines = dict.fromkeys(_line(str(item["loc"][0])) for item in error.errors())
        raise SettingsError("\n".join(lines)) from None
    except OSError as error:
        raise SettingsError(f"a secret's file cannot be read: {error.filename}") from None


def _line(place: str) -> str:
    """Return what a variable must be, by the name of its field or its own name."""
    for name, field in EngineSettings.model_fields.items():
        own_name = f"{PREFIX}{name.upper()}"
        match field.validation_alias:
            case AliasChoices(choices=choices):
                names = [name, *map(str, choices)]
            case str(alias):
                names = [name, alias]
            case _:
                names = [name, own_name]
        if place in names:
            told = next((each for each in names[1:] if os.environ.get(each)), names[1])
            return f"{told}: must be {field.description}"
    raise KeyError(place)
