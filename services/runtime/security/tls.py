"""A process's certificate towards the other services, read again whenever its files change."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

import grpc
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from prometheus_client import Gauge

from services.runtime.security.identities import Identity, identities

log = structlog.get_logger(__name__)

EXPIRY = Gauge(
    "parley_certificate_expiry_seconds",
    "When the certificate that a process shows to the others expires, in Unix seconds.",
    ["identity"],
)


class Part(StrEnum):
    """One of the files."""

    CERTIFICATE = "certificate"
    KEY = "key"
    AUTHORITIES = "authorities"


class TlsError(ValueError):
    """A file cannot be used; the message is the rule that it violates."""

    def __init__(self, part: Part, rule: str) -> None:
        super().__init__(rule)
        self.part = part


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Where the certificate with its chain, its key, and the peers' authorities are, in PEM."""

    certificate: Path
    key: Path
    authorities: Path

    def __iter__(self) -> Iterator[tuple[Part, Path]]:
        """Yield each file."""
        yield Part.CERTIFICATE, self.certificate
        yield Part.KEY, self.key
        yield Part.AUTHORITIES, self.authorities


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What the files held when they fitted together, in PEM."""

    certificate: bytes
    key: bytes = field(repr=False)
    authorities: bytes

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Return what a client shows and trusts."""
        return grpc.ssl_channel_credentials(self.authorities, self.key, self.certificate)

    def server_configuration(self) -> grpc.ServerCertificateConfiguration:
        """Return what a server shows and trusts."""
        return grpc.ssl_server_certificate_configuration(
            [(self.key, self.certificate)], self.authorities
        )


_Stamp: TypeAlias = tuple[tuple[int, int, int], ...]
"""By which a changed file is recognised: its inode, size and time."""


class Tls:
    """The TLS of a process; what is new in its files holds for new connections.

    While the files do not fit together, as in the middle of being replaced, what they held before
    stays in use. Raises TlsError if they do not at the start.
    """

    def __init__(self, files: TlsFiles, identity: Identity) -> None:
        self.identity = identity
        self._files = files
        self._stamp = _stamp(files)
        self._material = _read(files, identity)

    def current(self) -> Material:
        """Return what connections are made with now: the same object until the files change."""
        stamp = _stamp(self._files)
        if stamp == self._stamp:
            return self._material
        self._stamp = stamp
        try:
            self._material = _read(self._files, self.identity)
        except TlsError as error:
            log.warning("new certificate not used", file=error.part, rule=str(error))
        else:
            log.info("certificate changed")
        return self._material

    def server_credentials(self) -> grpc.ServerCredentials:
        """Return the credentials of a server that admits only clients with a certificate."""
        return grpc.dynamic_ssl_server_credentials(
            self.current().server_configuration(),
            # Asked at each handshake.
            lambda: self.current().server_configuration(),
            require_client_authentication=True,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerTls:
    """The TLS of a channel: ours, and which service must be at its other end."""

    own: Tls
    peer: Identity


def peer_tls(own: Tls | None, peer: Identity) -> PeerTls | None:
    """Return the TLS of channels to a service; None where there is no TLS."""
    return None if own is None else PeerTls(own=own, peer=peer)


def _stamp(files: TlsFiles) -> _Stamp:
    return tuple(_stamp_of(path) for _, path in files)


def _stamp_of(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def _read(files: TlsFiles, identity: Identity) -> Material:
    """Return what the files hold if a connection can be made with it; raises TlsError."""
    read = {part: _bytes_of(part, path) for part, path in files}
    leaf = _certificates(Part.CERTIFICATE, read[Part.CERTIFICATE])[0]
    _certificates(Part.AUTHORITIES, read[Part.AUTHORITIES])
    if _public_key_of(read[Part.KEY]) != _encoded(leaf.public_key()):
        raise TlsError(Part.KEY, "must be the key of the certificate")
    if identity not in identities(_dns_names(leaf)):
        raise TlsError(Part.CERTIFICATE, f"must be a certificate for {identity.dns_name}")
    if leaf.not_valid_after_utc <= datetime.now(UTC):
        raise TlsError(Part.CERTIFICATE, "must not have expired")
    EXPIRY.labels(identity=identity.value).set(leaf.not_valid_after_utc.timestamp())
    return Material(
        certificate=read[Part.CERTIFICATE],
        key=read[Part.KEY],
        authorities=read[Part.AUTHORITIES],
    )


def _bytes_of(part: Part, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise TlsError(part, "cannot be read") from None


def _certificates(part: Part, pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise TlsError(part, "must hold certificates in PEM") from None


def _public_key_of(pem: bytes) -> bytes:
    try:
        return _encoded(load_pem_private_key(pem, password=None).public_key())
    except (ValueError, TypeError, AttributeError):
        raise TlsError(Part.KEY, "must hold a key in PEM without password") from None


def _encoded(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _dns_names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return names.value.get_values_for_type(x509.DNSName)
