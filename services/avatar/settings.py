"""The avatar process's settings, under the vendor's own names where its sample has them."""

import re
from pathlib import Path
from typing import Annotated, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from services.avatar.pacing import PacingProfile
from services.avatar.profiles import load_profile
from services.avatar.vendor.signature import Credentials
from services.avatar.vendor.token import Mode
from services.avatar.vendor.trust import Verification
from services.runtime.links import ServiceSettings
from services.runtime.security.identities import Identity
from services.runtime.settings.environment import ProcessSettings
from services.runtime.settings.values import (
    HttpUrl,
    Port,
    PostgresUrl,
    Secret,
    Secrets,
    SocketUrl,
    Target,
    check_strength,
    is_loopback,
    split_list,
)

MAINLAND_URL = "https://aigc-digitalhuman-api.zegotech.cn"
ENGINE_URL = "http://127.0.0.1:8090"
_EVERYWHERE = ("0.0.0.0", "::")


def _parse_fingerprints(text: str) -> str:
    if not all(re.fullmatch(r"[0-9a-f]{64}", each) for each in _split_fingerprints(text)):
        raise ValueError("must be SHA-256 fingerprints in hex, separated by commas")
    return text


def _split_fingerprints(text: str) -> frozenset[str]:
    plain = text.replace(":", "").lower()
    return frozenset(each.strip() for each in plain.split(",") if each.strip())


def _check_length(secret: SecretStr) -> SecretStr:
    # The secret is also the AES key of viewer tokens, byte by byte.
    if any(len(each) != 32 for each in split_list(secret.get_secret_value())):
        raise ValueError("must have 32 characters")
    return secret


def _check_profile(name_or_path: str) -> str:
    if name_or_path:
        load_profile(name_or_path)
    return name_or_path


_AppId = Annotated[int, Field(ge=1, le=2**32 - 1)]
_AccountSecret = Annotated[Secret, AfterValidator(_check_length)]
_AccountSecrets = Annotated[Secrets, AfterValidator(_check_length)]
_Fingerprints = Annotated[str, NoDecode, AfterValidator(_parse_fingerprints)]


class DatabaseSettings(ProcessSettings):
    """What a process needs that only migrates the database."""

    model_config = SettingsConfigDict(env_prefix="AVATAR_")

    database: PostgresUrl | None = Field(
        None,
        description="the PostgreSQL that all replicas share: postgresql://user:password@host/name;"
        " unset: this is the only replica",
    )


class AvatarSettings(DatabaseSettings, ServiceSettings):
    """Every setting of the process."""

    model_config = SettingsConfigDict(env_prefix="AVATAR_")
    identity: ClassVar = Identity.AVATAR

    port: Port = Field(50053, description="port to listen on")
    drain_s: float = Field(
        10.0,
        ge=0,
        le=300,
        description="seconds that running replies may still take at shutdown before they are cut"
        " off",
    )
    database_pool: int = Field(
        4, ge=1, le=100, description="connections to AVATAR_DATABASE, at most"
    )
    advertised_address: Target | None = Field(
        None,
        description="where other replicas reach this one, host:port; default: where it listens",
    )
    cloud_url: HttpUrl | None = Field(
        None, description="the cloud's REST API; default: the mainland's, or the engine"
    )
    engine_url: HttpUrl = Field(
        ENGINE_URL, description="the engine's REST API, unless AVATAR_CLOUD_URL is set"
    )
    engine_certificate: Path | None = Field(
        None,
        description="the file that ENGINE_DRIVE_CERTIFICATE names, to verify the engine by",
    )
    cloud_public_url: HttpUrl | None = Field(
        None, description="the engine as viewers reach it; default: as AVATAR_CLOUD_URL"
    )
    drive_verification: Verification = Field(
        Verification.NAMED,
        description="drive servers whose certificate must be valid: all, named, none",
    )
    drive_fingerprints: _Fingerprints = Field(
        "", description="SHA-256 fingerprints of the only certificates to accept from drive servers"
    )
    pacing: Annotated[str, AfterValidator(_check_profile)] = Field(
        "",
        description="how the cloud is fed: zego, engine, conservative, or a file with a profile;"
        " default: zego or engine",
    )
    token_mode: Mode = Field(
        Mode.CBC,
        description="cipher of viewer tokens for the cloud: cbc, which all its decoders support,"
        " or gcm",
    )
    express_server: SocketUrl = Field(
        "wss://webliveroom-api.zego.im/ws", description="server for the vendor's web SDK"
    )

    app_id: _AppId | None = Field(
        None, validation_alias="APP_ID", description="the cloud's account; unset for the engine"
    )
    server_secret: _AccountSecret | None = Field(
        None, validation_alias="SERVER_SECRET", description="the account's 32-character secret"
    )
    engine_app_id: _AppId | None = Field(
        None, validation_alias="ENGINE_APP_ID", description="the engine's account"
    )
    engine_server_secret: _AccountSecrets | None = Field(
        None,
        validation_alias="ENGINE_SERVER_SECRET",
        description="the engine's secret; of several, separated by commas, the first signs",
    )
    digital_human_id: str = Field(
        "",
        max_length=128,
        validation_alias="DIGITAL_HUMAN_ID",
        description="the digital human of personas that name none; default: the first that the"
        " cloud lists",
    )
    token_expire_seconds: int = Field(
        600,
        ge=1,
        le=3600,
        validation_alias="TOKEN_EXPIRE_SECONDS",
        description="how long viewer tokens are valid, 1 to 3600 s",
    )
    callback_secret: Annotated[Secrets, AfterValidator(check_strength)] | None = Field(
        None,
        validation_alias="CALLBACK_SECRET",
        description="verifies the cloud's callbacks, of at least 16 characters; of several,"
        " separated by commas, any; unset: all are refused",
    )

    signatures: Path | None = Field(
        None,
        description="the file that remembers signatures of callbacks across restarts, where there"
        " is no AVATAR_DATABASE; unset: they are forgotten",
    )

    @model_validator(mode="after")
    def _check_account(self) -> Self:
        if self.app_id is not None and self.server_secret is None:
            raise ValueError("SERVER_SECRET must be set with APP_ID")
        if self.app_id is None and (
            self.engine_app_id is None or self.engine_server_secret is None
        ):
            raise ValueError(
                "set APP_ID and SERVER_SECRET for the cloud, or ENGINE_APP_ID and"
                " ENGINE_SERVER_SECRET as the engine has them"
            )
        return self

    @model_validator(mode="after")
    def _check_cloud_url(self) -> Self:
        parts = urlsplit(self.resolved_cloud_url)
        is_private = self.is_engine or is_loopback(parts.hostname or "")
        if parts.scheme != "https" and not is_private:
            raise ValueError("AVATAR_CLOUD_URL must be an https address")
        return self

    @model_validator(mode="after")
    def _check_address(self) -> Self:
        is_reachable = self.port != 0 and self.host not in _EVERYWHERE
        if self.database is not None and self.advertised_address is None and not is_reachable:
            raise ValueError(
                "AVATAR_ADVERTISED_ADDRESS must be set with AVATAR_DATABASE, unless AVATAR_HOST and"
                " AVATAR_PORT are where other replicas reach this one"
            )
        return self

    def vendor_urls(self) -> tuple[str, ...]:
        """The address of the cloud's API, or the engine's."""
        return () if self.is_engine else (self.resolved_cloud_url,)

    @property
    def is_engine(self) -> bool:
        """Whether the engine stands in for the cloud."""
        return self.app_id is None

    @property
    def resolved_address(self) -> str:
        """Where other replicas reach this one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.advertised_address or f"{host}:{self.port}"

    @property
    def pacing_profile(self) -> PacingProfile:
        """How the cloud is fed."""
        return load_profile(self.pacing or ("engine" if self.is_engine else "zego"))

    @property
    def credentials(self) -> Credentials:
        """Our credentials with the cloud or the engine."""
        app_id = self.engine_app_id if self.is_engine else self.app_id
        secret = self.engine_server_secret if self.is_engine else self.server_secret
        # Both were checked with the settings.
        assert app_id is not None
        assert secret is not None
        return Credentials(app_id=app_id, server_secret=split_list(secret.get_secret_value())[0])

    @property
    def callback_secrets(self) -> tuple[str, ...]:
        """The secrets that may have signed a callback; empty: all are refused."""
        return split_list(self.callback_secret.get_secret_value()) if self.callback_secret else ()

    @property
    def resolved_cloud_url(self) -> str:
        """The REST API's address without a trailing slash."""
        default = self.engine_url if self.is_engine else MAINLAND_URL
        return self.cloud_url or default

    @property
    def whep_url(self) -> str | None:
        """Where viewers reach WHEP, if the engine is used."""
        if not self.is_engine:
            return None
        return (self.cloud_public_url or self.resolved_cloud_url) + "/whep"

    @property
    def fingerprints(self) -> frozenset[str]:
        """The pinned certificates, in lower-case hex."""
        return _split_fingerprints(self.drive_fingerprints)
