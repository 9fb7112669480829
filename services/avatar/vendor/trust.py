"""Which drive servers to believe, although their certificates cannot carry their names."""

import hashlib
import ipaddress
import ssl
from collections.abc import Set


class UntrustedServerError(Exception):
    """Nothing can vouch for the server that an address names."""


class SocketTrust:
    """How the TLS of a drive server is checked.

    The cloud hands out bare IP addresses, for which no certificate is valid. What binds such a
    server to the cloud is that a verified HTTPS call has just named it; a pinned certificate
    (SHA-256 of its DER form, lower-case hex) binds it fully, before the token is sent to it.
    Without pins a server that has a host name is verified in the ordinary way.
    """

    def __init__(self, *, fingerprints: Set[str] = frozenset(), allows_unverified: bool) -> None:
        self._by_name = ssl.create_default_context()
        self._by_address = _context_without_authorities() if allows_unverified else None
        self._by_pin = _pinned_context(fingerprints) if fingerprints else None

    def context_for(self, host: str) -> ssl.SSLContext:
        """The context to meet a host with; raises UntrustedServerError."""
        if self._by_pin is not None:
            return self._by_pin
        if not _is_ip_address(host):
            return self._by_name
        if self._by_address is None:
            raise UntrustedServerError(
                "the drive server has no name to verify and no certificate is pinned"
            )
        return self._by_address


def is_loopback(host: str) -> bool:
    """Whether traffic to a host stays on this machine."""
    return host == "localhost" or (
        _is_ip_address(host) and ipaddress.ip_address(host.strip("[]")).is_loopback
    )


def _is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _context_without_authorities() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


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
