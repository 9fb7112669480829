"""The token in a WssAddress: for one task, valid for ten minutes."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from engine.contract.token import KEY_BYTES, InvalidToken, Purpose, Tokens

LIFE_S = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveTokens:
    """Issues and reads tokens with a secret that lives as long as the process."""

    now: Callable[[], float]
    """A steady time: tokens are used a moment after they are issued."""
    node_id: str = field(default_factory=lambda: secrets.token_hex(4))
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(KEY_BYTES), repr=False)

    def issue(self, task_id: str) -> str:
        """Return a token that opens a drive socket of the task."""
        now = int(self.now())
        claims = {"LiveId": task_id, "NodeId": self.node_id, "nbf": now, "iat": now}
        return self._tokens().issue(claims, life_s=LIFE_S)

    def read(self, token: str) -> str:
        """Return the id of the token's task; raises `InvalidToken`."""
        task_id = self._tokens().read(token).get("LiveId")
        if not isinstance(task_id, str):
            raise InvalidToken
        return task_id

    def _tokens(self) -> Tokens:
        return Tokens(purpose=Purpose.DRIVE, secret=self.secret, now=self.now)
