"""The engine's tokens: JWTs, each good for one purpose.

A token has no say in how it is checked: the algorithm is HS256, and the key is that of the purpose.
Nothing of it is believed, nor even parsed as claims, before its signature is found right, and every
token that cannot be trusted raises the same error.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

ALGORITHM = "HS256"
KEY_BYTES = 32
CHECKED = ("aud", "exp")


class Purpose(StrEnum):
    """What a token is for; its `aud`, and part of its key."""

    VIEWER = "viewer"
    DRIVE = "drive"


class InvalidToken(Exception):
    """The token cannot be trusted: it is not ours, has expired, or is for another purpose."""

    def __init__(self) -> None:
        super().__init__("the token is not valid")


def derive_key(secret: bytes, purpose: Purpose) -> bytes:
    """Return the key of a purpose; it reveals neither the secret nor any other key."""
    info = f"parley engine token: {purpose}".encode()
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Issues and reads the tokens of one purpose."""

    purpose: Purpose
    secret: bytes = field(repr=False)
    now: Callable[[], float]
    """Unix seconds."""

    def issue(self, claims: Mapping[str, Any], *, life_s: int) -> str:
        """Return a token with these claims that is good for so many seconds."""
        ours = {"aud": self.purpose.value, "exp": int(self.now()) + life_s}
        return jwt.encode({"alg": ALGORITHM}, {**claims, **ours}, self._key())

    def read(self, token: str) -> Mapping[str, Any]:
        """Return the claims of a token; raises `InvalidToken`."""
        rules = jwt.JWTClaimsRegistry(
            now=lambda: int(self.now()),
            aud={"essential": True, "value": self.purpose.value},
            exp={"essential": True},
        )
        try:
            claims = jwt.decode(token, self._key(), algorithms=[ALGORITHM]).claims
            # Not when it was issued: the issuer's clock may be ahead of ours, or have been set.
            rules.validate({name: claims[name] for name in CHECKED if name in claims})
        except (JoseError, ValueError, TypeError, RecursionError):
            # TypeError: the members of a header are used before their types are checked.
            raise InvalidToken from None
        return claims

    def _key(self) -> OctKey:
        return OctKey.import_key(derive_key(self.secret, self.purpose))
