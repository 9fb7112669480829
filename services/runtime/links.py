"""The settings of what is between the processes: tokens, certificates, and where to listen."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from services.runtime.security.identities import Identity
from services.runtime.security.tls import Part, PeerTls, Tls, TlsError, TlsFiles, peer_tls
from services.runtime.serving.server import ServingOptions
from services.runtime.settings.environment import ProcessSettings
from services.runtime.settings.values import (
    Host,
    Port,
    Secrets,
    check_strength,
    is_loopback,
    split_list,
)


class LinkSettings(ProcessSettings):
    """What a process needs to call the services."""

    identity: ClassVar[Identity]

    service_token: Secrets | None = Field(
        None,
        validation_alias="PARLEY_SERVICE_TOKEN",
        description="token that the services ask each other for, of at least 16 characters;"
        " several, separated by commas: the first is sent, all are accepted; unset: none",
    )
    tls_certificate_file: Path | None = Field(
        None,
        description="certificate of this process with its chain, in PEM: TLS between the"
        " processes; unset: none",
    )
    tls_key_file: Path | None = Field(None, description="key of that certificate, in PEM")
    tls_authorities_file: Path | None = Field(
        None, description="authorities of the other processes' certificates, in PEM"
    )

    @property
    def service_tokens(self) -> tuple[str, ...]:
        """The tokens to accept, that to send first; empty: none is asked for."""
        return split_list(self.service_token.get_secret_value()) if self.service_token else ()

    @property
    def sent_token(self) -> str | None:
        """The token to send to the services."""
        return next(iter(self.service_tokens), None)

    @cached_property
    def tls(self) -> Tls | None:
        """The TLS of the process; None: it speaks and listens in plain text."""
        files = self._tls_files()
        return None if files is None else Tls(files, self.identity)

    def tls_to(self, peer: Identity) -> PeerTls | None:
        """Return the TLS of channels to a service."""
        return peer_tls(self.tls, peer)

    @field_validator("service_token")
    @classmethod
    def _check_service_token(cls, tokens: SecretStr | None) -> SecretStr | None:
        return check_strength(tokens) if tokens else tokens

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        given = {part: path for part, path in self._tls_parts() if path is not None}
        if missing := [part for part in Part if given and part not in given]:
            names = ", ".join(self._tls_variable(part) for part in missing)
            raise ValueError(f"{names} must be set with {self._tls_variable(next(iter(given)))}")
        try:
            _ = self.tls
        except TlsError as error:
            raise ValueError(f"{self._tls_variable(error.part)} {error}") from None
        return self

    def _tls_parts(self) -> Iterator[tuple[Part, Path | None]]:
        yield Part.CERTIFICATE, self.tls_certificate_file
        yield Part.KEY, self.tls_key_file
        yield Part.AUTHORITIES, self.tls_authorities_file

    def _tls_files(self) -> TlsFiles | None:
        parts = {part.value: path for part, path in self._tls_parts() if path is not None}
        return TlsFiles(**parts) if parts else None

    @classmethod
    def _tls_variable(cls, part: Part) -> str:
        return f"{cls.model_config.get('env_prefix', '')}TLS_{part.upper()}_FILE"


class ServiceSettings(LinkSettings):
    """What a process needs to be called by the others as well."""

    host: Host = Field("127.0.0.1", description="address to listen on")
    port: Port
    metrics_port: Port = Field(0, description="port of metrics; 0 for none")
    reflection: bool = Field(
        False, validation_alias="PARLEY_REFLECTION", description="whether gRPC reflection is on"
    )
    plain_network: bool = Field(
        False,
        validation_alias="PARLEY_PLAIN_NETWORK",
        description="whether services may listen beyond loopback without TLS of their own, because"
        " a service mesh or a private network protects what they say; they need a service token",
    )

    @property
    def serving_options(self) -> ServingOptions:
        """How the process listens."""
        return ServingOptions(
            host=self.host,
            port=self.port,
            service_tokens=self.service_tokens,
            tls=self.tls,
            has_reflection=self.reflection,
            metrics_host=self.metrics_host,
            metrics_port=self.metrics_port,
        )

    @model_validator(mode="after")
    def _check_exposure(self) -> Self:
        if is_loopback(self.host) or self._tls_files() is not None:
            return self
        prefix = self.model_config.get("env_prefix", "")
        if not self.plain_network:
            raise ValueError(
                f"{prefix}HOST is {self.host}, which is not loopback: set"
                f" {prefix}TLS_CERTIFICATE_FILE, {prefix}TLS_KEY_FILE and"
                f" {prefix}TLS_AUTHORITIES_FILE, or PARLEY_PLAIN_NETWORK=true where a service mesh"
                " or a private network protects what the services say"
            )
        if not self.service_tokens:
            raise ValueError(
                f"PARLEY_SERVICE_TOKEN must be set when {prefix}HOST is {self.host} without TLS,"
                " because that is not loopback"
            )
        return self
