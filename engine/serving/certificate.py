"""A TLS certificate made at startup: the cloud's drive sockets have no matching one either."""

import ipaddress
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# Made at every start and trusted by its bytes, it only has to outlive the process.
VALIDITY = timedelta(days=3650)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A self-signed certificate and its key, in PEM."""

    certificate: str
    key: str = field(repr=False)


def make_identity(host: str) -> Identity:
    """Return a new identity for a host name or address."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "digital human engine")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + VALIDITY)
        .add_extension(x509.SubjectAlternativeName([_general_name(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Identity(
        certificate=certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key=key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
    )


def publish(identity: Identity, path: Path) -> None:
    """Write the certificate for callers to read, atomically; raises OSError."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(identity.certificate, encoding="ascii")
    fresh.replace(path)


def server_context(identity: Identity) -> ssl.SSLContext:
    """Return the TLS context of a server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # The ssl module reads certificates only from files; the folder is short-lived.
    with TemporaryDirectory(prefix="engine-tls-") as folder:
        path = Path(folder) / "server.pem"
        path.touch(mode=0o600)
        path.write_text(identity.key + identity.certificate, encoding="ascii")
        context.load_cert_chain(path)
    return context


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
