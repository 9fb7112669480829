"""Signs what webhooks are sent, as Standard Webhooks has it, with the ids of the keys besides."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"
KEY_ID_HEADER = "webhook-key-id"

_PREFIX = "whsec_"
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A key that signs; `secret` is the bytes of it."""

    key_id: str
    secret: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The secret as receivers get it: `whsec_` and base64."""
        return _PREFIX + base64.b64encode(self.secret).decode()


def new_key() -> SigningKey:
    """Return a new random key."""
    return SigningKey(key_id=f"key_{secrets.token_hex(8)}", secret=secrets.token_bytes(_KEY_BYTES))


def signed(
    keys: Sequence[SigningKey], *, event_id: str, timestamp: int, body: bytes
) -> Mapping[str, str]:
    """Return the headers of a message: a signature by each key, and in the same order their ids."""
    content = f"{event_id}.{timestamp}.".encode() + body
    return {
        ID_HEADER: event_id,
        TIMESTAMP_HEADER: str(timestamp),
        SIGNATURE_HEADER: " ".join(_signature(key, content) for key in keys),
        KEY_ID_HEADER: " ".join(key.key_id for key in keys),
    }


def _signature(key: SigningKey, content: bytes) -> str:
    digest = hmac.digest(key.secret, content, hashlib.sha256)
    return "v1," + base64.b64encode(digest).decode()
