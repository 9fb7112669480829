"""Viewer tokens (Token04): which can be trusted, and what they allow.

Only the authenticated cipher (GCM) is accepted. The cloud's other one (CBC) lets the holder of a
token alter it, and any difference between two refusals, even in time, would reveal how. So every
untrusted token is refused in the same way, after the same work.
"""

import base64
import binascii
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import BaseModel, StrictInt, StrictStr, ValidationError

PREFIX = "04"
LOGIN = "1"
GCM_TRAILER = b"\x01"
NONCE_BYTES = 12
TAG_BYTES = 16


class InvalidToken(Exception):
    """The token cannot be trusted: it is not from this application, or has expired."""

    def __init__(self) -> None:
        super().__init__("the token is not valid")


class ForeignToken(Exception):
    """The token is genuine, but not for this room or not for logging in."""


class _Privileges(BaseModel):
    room_id: StrictStr
    privilege: dict[str, int] = {}
    stream_id_list: list[str] | None = None


class _Plaintext(BaseModel):
    app_id: StrictInt
    user_id: StrictStr
    expire: StrictInt
    payload: StrictStr = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sealed:
    """A token as written: its expiry outside the cipher, the nonce, ciphertext and tag."""

    expire: int
    nonce: bytes
    ciphertext: bytes


# Anything that is not a token is treated like a forged one.
_FORGED = _Sealed(expire=0, nonce=bytes(NONCE_BYTES), ciphertext=bytes(TAG_BYTES))


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerToken:
    """What a genuine token grants; without a payload, any room, as in the cloud."""

    user_id: str
    expire_time: int
    payload: str

    def require_login(self, room_id: str) -> None:
        """Raise `ForeignToken` unless the holder may log in to the room."""
        if not self.payload:
            return
        try:
            granted = _Privileges.model_validate_json(self.payload)
        except ValidationError:
            raise ForeignToken("the token's payload names no rights") from None
        if granted.room_id != room_id:
            raise ForeignToken("the token is for another room")
        if granted.privilege.get(LOGIN) != 1:
            raise ForeignToken("the token does not allow to log in")


def read_token(token: str, *, app_id: int, server_secret: str, now: float) -> ViewerToken:
    """Decrypt and verify a token; raises `InvalidToken` if it cannot be trusted."""
    sealed = _unpack(token)
    try:
        claims = _Plaintext.model_validate_json(
            AESGCM(server_secret.encode()).decrypt(sealed.nonce, sealed.ciphertext, None)
        )
    except (InvalidTag, ValueError):
        raise InvalidToken from None
    # The expiry outside the cipher is not authenticated and must not extend the lifetime.
    is_good = claims.app_id == app_id and sealed.expire == claims.expire and now < claims.expire
    if not is_good or not claims.user_id:
        raise InvalidToken
    return ViewerToken(user_id=claims.user_id, expire_time=claims.expire, payload=claims.payload)


def _unpack(token: str) -> _Sealed:
    try:
        packed = base64.b64decode(token.removeprefix(PREFIX), validate=True)
        expire, nonce_length = struct.unpack_from(">qH", packed, 0)
        (length,) = struct.unpack_from(">H", packed, 10 + nonce_length)
    except (binascii.Error, ValueError, struct.error):
        return _FORGED
    start = 12 + nonce_length
    nonce, ciphertext = packed[10 : start - 2], packed[start : start + length]
    is_whole = (
        token.startswith(PREFIX)
        and nonce_length == NONCE_BYTES
        and len(ciphertext) == length >= TAG_BYTES
        and packed[start + length :] == GCM_TRAILER
    )
    return _Sealed(expire=expire, nonce=nonce, ciphertext=ciphertext) if is_whole else _FORGED
