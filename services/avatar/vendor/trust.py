"""Which drive servers to trust, although their certificates cannot carry their names."""

import hashlib
import ipaddress
import ssl
from collections.abc import Set
from enum import StrEnum
from functools import cached_property
from pathlib import Path


class UntrustedServerError(Exception):
    """The server at an address cannot be verified."""


class Verification(StrEnum):
    """Which drive servers must show a certificate that is valid for their address."""

    ALL = "all"
    NAMED = "named"
    """Those with a host name; a bare IP address, as the cloud gives, is trusted."""
    NONE = "none"


class SocketTrust:
    """How the TLS of a drive server is verified.

    The cloud returns bare IP addresses, for which no certificate is valid. What ties such a server
    to the cloud is that a verified HTTPS call has just named it; a pinned certificate (SHA-256 of
    its DER form, lower-case hex) ties it fully, before the token is sent to it. The engine writes
    its own to a file at each start: with `certificate`, that one alone is trusted, for the name or
    address that it was made for.
    """

    def __init__(
        self,
        *,
        verification: Verification,
        fingerprints: Set[str] = frozenset(),
        certificate: Path | None = None,
    ) -> None:
        self._verification = verification
        self._certificate = certificate
        self._believed = _context_without_authorities()
        self._pinned = _pinned_context(fingerprints) if fingerprints else None

    @cached_property
    def _verified(self) -> ssl.SSLContext:
        """Trusts the system's authorities, which are read when a server needs them."""
        return ssl.create_default_context()

    @property
    def is_exact(self) -> bool:
        """Whether only servers with a known certificate are trusted."""
        return self._pinned is not None or self._certificate is not None

    def context_for(self, host: str) -> ssl.SSLContext:
        """Return the TLS context for a host; raises UntrustedServerError."""
        if self._pinned is not None:
            return self._pinned
        if self._certificate is not None:
            return _context_for(self._certificate)
        match self._verification:
            case Verification.NONE:
                return self._believed
            case Verification.NAMED if _is_ip_address(host):
                return self._believed
            case Verification.ALL if _is_ip_address(host):
                raise UntrustedServerError("a bare address has no name to verify")
            case _:
                return self._verified


def _is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _context_without_authorities() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _context_for(certificate: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=certificate)
    except OSError as error:
        raise UntrustedServerError(f"{certificate} holds no certificate") from error


def _pinned_context(fingerprints: Set[str]) -> ssl.SSLContext:
    class PinnedConnection(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            certificate = self.getpeercert(binary_form=True) or b""
            if hashlib.sha256(certificate).hexdigest() not in fingerprints:
                raise ssl.SSLCertVerificationError("the certificate is not a pinned one")

    context = _context_without_authorities()
    context.sslobject_class = PinnedConnection
    return context
