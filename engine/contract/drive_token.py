"""The token in a WssAddress: an HS256 JWT for one task, valid for ten minutes."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

LIFE_S = 600
ALGORITHM = "HS256"


class InvalidDriveToken(Exception):
    """The token is not ours, or has expired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveTokens:
    """Issues and reads tokens with a key that lives as long as the process."""

    now: Callable[[], float]
    """A steady time: tokens are used a moment after they are issued."""
    node_id: str = field(default_factory=lambda: secrets.token_hex(4))
    key: OctKey = field(default_factory=lambda: OctKey.import_key(secrets.token_bytes(32)))

    def issue(self, task_id: str) -> str:
        """Return a token that opens a drive socket of the task."""
        now = int(self.now())
        claims = {
            "LiveId": task_id,
            "NodeId": self.node_id,
            "exp": now + LIFE_S,
            "nbf": now,
            "iat": now,
        }
        return jwt.encode({"alg": ALGORITHM}, claims, self.key)

    def read(self, token: str) -> str:
        """Return the id of the token's task; raises `InvalidDriveToken`."""
        rules = jwt.JWTClaimsRegistry(
            now=lambda: int(self.now()),
            LiveId={"essential": True},
            exp={"essential": True},
        )
        try:
            claims = jwt.decode(token, self.key, algorithms=[ALGORITHM]).claims
            rules.validate(claims)
        except (JoseError, ValueError, TypeError):
            # TypeError: the members of a header are used before their types are checked.
            raise InvalidDriveToken from None
        return str(claims["LiveId"])
