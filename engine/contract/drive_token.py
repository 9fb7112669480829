"""The token in a WssAddress: an HS256 JWT for one task, good for ten minutes."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

LIFE_S = 600
ALGORITHM = "HS256"


class InvalidDriveToken(Exception):
    """The token is not ours, or is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveTokens:
    """Issues and reads tokens with a key that lives as long as the process."""

    now: Callable[[], float]
    """A time that goes on evenly: a token is used a moment after it was issued."""
    node_id: str = field(default_factory=lambda: secrets.token_hex(4))
    key: OctKey = field(default_factory=lambda: OctKey.import_key(secrets.token_bytes(32)))

    def issue(self, task_id: str) -> str:
        """A token that opens a drive socket of the task."""
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
        """The id of the token's task; raises `InvalidDriveToken`."""
        rules = jwt.JWTClaimsRegistry(
            now=lambda: int(self.now()),
            LiveId={"essential": True},
            exp={"essential": True},
        )
        try:
            claims = jwt.decode(token, self.key, algorithms=[ALGORITHM]).claims
            rules.validate(claims)
        except (JoseError, ValueError, TypeError):
            # TypeError: a header's members are looked at before their types are.
            raise InvalidDriveToken from None
        return str(claims["LiveId"])
