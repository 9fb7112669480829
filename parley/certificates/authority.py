"""An authority of our own, in two files, and what it issues."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.runtime.security.identities import Identity

AUTHORITY_LIFE = timedelta(days=3650)
CERTIFICATE_LIFE = timedelta(days=90)
_CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def read(cls, folder: Path, name: str) -> Self:
        """Return what was written; raises ValueError if that is something else."""
        try:
            key = load_pem_private_key((folder / f"{name}.key").read_bytes(), password=None)
            certificate = x509.load_pem_x509_certificate((folder / f"{name}.pem").read_bytes())
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{folder / name}.key and {name}.pem hold no authority of ours")
        return cls(certificate=certificate, key=key)

    def write(self, *, certificate: Path, key: Path) -> None:
        """Replace both files, the key first."""
        private = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _replace(key, private, mode=0o600)
        write_certificate(certificate, self.certificate)

    def issue(self, identity: Identity) -> "Pair":
        """Return a new certificate for an identity, signed by this one."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = self.certificate.subject
        names = x509.SubjectAlternativeName([x509.DNSName(identity.dns_name)])
        uses = x509.ExtendedKeyUsage(
            [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        )
        certificate = (
            _builder(identity.dns_name, issuer, key, CERTIFICATE_LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(names, critical=False)
            .add_extension(uses, critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
            .sign(self.key, SHA256())
        )
        return Pair(certificate=certificate, key=key)


def open_authority(folder: Path, name: str) -> Pair:
    """Return the authority of that name, made if there is none; raises OSError, ValueError."""
    if (folder / f"{name}.key").exists():
        return Pair.read(folder, name)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder("Parley services", None, key, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    made = Pair(certificate=certificate, key=key)
    made.write(certificate=folder / f"{name}.pem", key=folder / f"{name}.key")
    return made


def write_certificate(path: Path, certificate: x509.Certificate) -> None:
    """Replace a file by a certificate, which everybody may read."""
    _replace(path, certificate.public_bytes(Encoding.PEM), mode=0o644)


def _builder(
    name: str, issuer: x509.Name | None, key: ec.EllipticCurvePrivateKey, life: timedelta
) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _replace(path: Path, content: bytes, *, mode: int) -> None:
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    fresh.replace(path)
