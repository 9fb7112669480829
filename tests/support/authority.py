"""Certificates for tests: an authority, and the files of a process."""

from pathlib import Path

import trustme

from services.runtime.security.identities import Identity
from services.runtime.security.tls import Tls, TlsFiles


class Authority:
    """Issues certificates for identities, and writes them where processes read them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = trustme.CA(key_type=trustme.KeyType.ECDSA)

    @property
    def pem(self) -> bytes:
        """Its own certificate."""
        return self._authority.cert_pem.bytes()

    def issue(self, *names: str, trusted: bytes = b"") -> TlsFiles:
        """Write a new certificate for DNS names in place of an old one, atomically, key first.

        Who shows it trusts this authority, or the `trusted` ones.
        """
        issued = self._authority.issue_cert(*names, key_type=trustme.KeyType.ECDSA)
        files = TlsFiles(
            certificate=self._folder / f"{names[0]}.pem",
            key=self._folder / f"{names[0]}.key",
            authorities=self._folder / f"{names[0]}.authorities",
        )
        replace(files.authorities, trusted or self.pem)
        replace(files.key, issued.private_key_pem.bytes())
        replace(files.certificate, b"".join(each.bytes() for each in issued.cert_chain_pems))
        return files

    def tls(self, identity: Identity, trusted: bytes = b"") -> Tls:
        """Return the TLS of a process with a new certificate."""
        return Tls(self.issue(identity.dns_name, trusted=trusted), identity)


def replace(path: Path, content: bytes) -> None:
    """Replace a file as deployments do: by another one."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(content)
    fresh.replace(path)
