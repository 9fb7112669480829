"""The signature that every REST call to the cloud carries."""

import hashlib
import secrets
from dataclasses import dataclass, field

SIGNATURE_VERSION = "2.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The credentials of the account; the secret is not in `repr`."""

    app_id: int
    server_secret: str = field(repr=False)


def sign(credentials: Credentials, *, nonce: str, timestamp: int) -> str:
    """Return the 32 lower-case hex digits for a nonce and a time in Unix seconds."""
    signed = f"{credentials.app_id}{nonce}{credentials.server_secret}{timestamp}"
    # MD5 is what the cloud's protocol prescribes; nothing else relies on it.
    return hashlib.md5(signed.encode(), usedforsecurity=False).hexdigest()


def signed_query(credentials: Credentials, *, action: str, timestamp: int) -> dict[str, str]:
    """Return the query of one attempt: a signature is valid for a single use."""
    nonce = secrets.token_hex(8)
    return {
        "Action": action,
        "AppId": str(credentials.app_id),
        "SignatureNonce": nonce,
        "Timestamp": str(timestamp),
        "Signature": sign(credentials, nonce=nonce, timestamp=timestamp),
        "SignatureVersion": SIGNATURE_VERSION,
    }
