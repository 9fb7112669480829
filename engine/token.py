"""Viewer tokens (Token04): decryption and the rules that a viewer must meet."""

import base64
import binascii
import json
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.padding import PKCS7
from pydantic import BaseModel, StrictInt, StrictStr, ValidationError

PREFIX = "04"
LOGIN = "1"


class InvalidToken(Exception):
    """The token is not one of this application, or is over."""


class ForeignToken(Exception):
    """The token is genuine, but not for this room or not for logging in."""


class _Privileges(BaseModel):
    room_id: StrictStr
    privilege: dict[str, int]
    stream_id_list: list[str] | None = None


class _Plaintext(BaseModel):
    app_id: StrictInt
    user_id: StrictStr
    expire: StrictInt
    payload: StrictStr = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerToken:
    """What a genuine token grants; no privileges means any room, as for the cloud."""

    user_id: str
    expire_time: int
    privileges: _Privileges | None

    def require_login(self, room_id: str) -> None:
        """Raise `ForeignToken` unless the holder may log in to the room."""
        if self.privileges is None:
            return
        if self.privileges.room_id != room_id:
            raise ForeignToken("the token is for another room")
        if self.privileges.privilege.get(LOGIN) != 1:
            raise ForeignToken("the token does not allow to log in")


def read_token(token: str, *, app_id: int, server_secret: str, now: float) -> ViewerToken:
    """Decrypt and check a token of either cipher; raises `InvalidToken`."""
    outer_expire, plaintext = _decrypt(token, server_secret.encode())
    try:
        claims = _Plaintext.model_validate_json(plaintext)
        privileges = (
            _Privileges.model_validate(json.loads(claims.payload)) if claims.payload else None
        )
    except (ValidationError, ValueError):
        raise InvalidToken("the token holds no valid claims") from None
    if claims.app_id != app_id:
        raise InvalidToken("the token is of another application")
    # The copy outside the cipher is not authenticated and may not extend the life.
    if claims.expire != outer_expire:
        raise InvalidToken("the two expiry times of the token differ")
    if now >= claims.expire:
        raise InvalidToken("the token has expired")
    if not claims.user_id:
        raise InvalidToken("the token names no user")
    return ViewerToken(user_id=claims.user_id, expire_time=claims.expire, privileges=privileges)


def _decrypt(token: str, key: bytes) -> tuple[int, bytes]:
    if not token.startswith(PREFIX):
        raise InvalidToken("the token has no version 04 prefix")
    try:
        packed = base64.b64decode(token[len(PREFIX) :], validate=True)
        expire, iv_length = struct.unpack_from(">qH", packed, 0)
        iv = packed[10 : 10 + iv_length]
        (length,) = struct.unpack_from(">H", packed, 10 + iv_length)
    except (binascii.Error, ValueError, struct.error):
        raise InvalidToken("the token is malformed") from None
    start = 12 + iv_length
    sealed, mode = packed[start : start + length], packed[start + length :]
    if len(iv) != iv_length or len(sealed) != length:
        raise InvalidToken("the token is truncated")
    try:
        match mode:
            case b"" | b"\x00":
                return expire, _decrypt_cbc(key, iv, sealed)
            case b"\x01":
                return expire, AESGCM(key).decrypt(iv, sealed, None)
            case _:
                raise InvalidToken("the token has an unknown cipher mode")
    except (InvalidTag, ValueError):
        raise InvalidToken("the token cannot be decrypted") from None


def _decrypt_cbc(key: bytes, iv: bytes, sealed: bytes) -> bytes:
    decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    padded = decryptor.update(sealed) + decryptor.finalize()
    unpadder = PKCS7(algorithms.AES.block_size).unpadder()
    return unpadder.update(padded) + unpadder.finalize()
