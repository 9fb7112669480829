"""A certificate for each service, and the settings by which it is used."""

from collections.abc import Sequence
from pathlib import Path

from services.runtime.security.identities import Identity, tls_variables

AUTHORITY = "authority"
_CERTIFICATE, _KEY, _AUTHORITIES = "tls.crt", "tls.key", "ca.crt"
"""The names that Kubernetes has for them in a secret."""


def issue(folder: Path) -> Sequence[Path]:
    """Write a new certificate for each identity and return the files of the certificates.

    Each identity has a folder of its own, so that a process can be given its key and no other.
    The authority in the folder issues them, and is made if there is none. Keys are readable by
    their owner alone, and every file is replaced at once, so that running processes may take them.
    Raises OSError, and ValueError for a broken authority.
    """
    # To use certificates takes nothing of what makes them.
    from parley.certificates.authority import open_authority, write_certificate

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority = open_authority(folder, AUTHORITY)
    issued = []
    for identity in Identity:
        own = folder / identity.value
        own.mkdir(exist_ok=True, mode=0o700)
        write_certificate(own / _AUTHORITIES, authority.certificate)
        authority.issue(identity).write(certificate=own / _CERTIFICATE, key=own / _KEY)
        issued.append(own / _CERTIFICATE)
    return issued


def tls_settings(folder: Path) -> dict[str, str]:
    """Return the settings by which each service uses its certificate in the folder.

    Raises OSError if a file is missing.
    """
    found: dict[str, str] = {}
    for identity in Identity:
        if identity is not Identity.OPERATOR:
            own = (folder / identity.value).resolve()
            paths = [own / each for each in (_CERTIFICATE, _KEY, _AUTHORITIES)]
            for path in paths:
                if not path.is_file():
                    raise OSError(f"{path} is missing: make it by `parley certificates {folder}`")
            found |= dict(zip(tls_variables(identity), map(str, paths), strict=True))
    return found
