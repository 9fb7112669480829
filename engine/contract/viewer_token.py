"""Viewer tokens: who watches, and which room.

Backends issue them, with one of the engine's server secrets: `iss` is the AppId in decimal, `sub`
the user, and `room` the only room to be watched; without it any may be.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field, StrictStr, ValidationError

from engine.contract.token import InvalidToken, Purpose, Tokens


class ForeignToken(Exception):
    """The token is genuine, but for another room."""


class ViewerToken(BaseModel):
    """What a genuine token grants."""

    issuer: StrictStr = Field(alias="iss")
    user_id: StrictStr = Field(alias="sub", min_length=1)
    room: StrictStr | None = None

    def require_room(self, room_id: str) -> None:
        """Raise `ForeignToken` unless the holder may watch the room."""
        if self.room is not None and self.room != room_id:
            raise ForeignToken("the token is for another room")


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerTokens:
    """Reads the tokens of one application."""

    app_id: int
    server_secrets: Sequence[str]
    """All are accepted, so that issuers can change theirs one by one."""
    now: Callable[[], float]

    def read(self, token: str) -> ViewerToken:
        """Return what a token grants; raises `InvalidToken`."""
        try:
            granted = ViewerToken.model_validate(self._claims(token))
        except ValidationError:
            raise InvalidToken from None
        if granted.issuer != str(self.app_id):
            raise InvalidToken
        return granted

    def _claims(self, token: str) -> Mapping[str, Any]:
        for secret in self.server_secrets:
            tokens = Tokens(purpose=Purpose.VIEWER, secret=secret.encode(), now=self.now)
            with suppress(InvalidToken):
                return tokens.read(token)
        raise InvalidToken
