"""Viewer tokens (Token04), which admit a user to a room of the cloud, and their verification."""

import base64
import binascii
import json
import secrets
import struct
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.padding import PKCS7

_PREFIX = "04"
_CBC_IV_BYTES = 16
_GCM_NONCE_BYTES = 12
_AES_BLOCK_BITS = 128
_SECRET_BYTES = 32
_MAX_USER_ID_BYTES = 64
_MAX_APP_ID = 2**32 - 1


class Mode(StrEnum):
    """The cipher of a token: the cloud accepts both; only GCM detects tampering."""

    CBC = "cbc"
    GCM = "gcm"


class TokenFault(IntEnum):
    """Why no token can be made, with the codes of the vendor's generators."""

    APP_ID = 1
    USER_ID = 3
    SECRET = 5
    EFFECTIVE_SECONDS = 6


class TokenInputError(ValueError):
    """A token was requested with invalid input."""

    def __init__(self, fault: TokenFault, rule: str) -> None:
        super().__init__(rule)
        self.fault = fault


class TokenRejectedError(ValueError):
    """A token is forged, damaged, foreign or expired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Privilege:
    """What a token allows: one room and, when `stream_ids` is given, publishing these streams."""

    room_id: str
    stream_ids: tuple[str, ...] = ()

    def payload(self) -> str:
        """Return the token's `payload`: key 1 is login, key 2 is publish."""
        return _compact(
            {
                "room_id": self.room_id,
                "privilege": {"1": 1, "2": 1 if self.stream_ids else 0},
                "stream_id_list": list(self.stream_ids) or None,
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenClaims:
    """The plain text of a token; times are Unix seconds."""

    app_id: int
    user_id: str
    nonce: int
    ctime: int
    expire: int
    payload: str


def generate_token(
    *,
    app_id: int,
    user_id: str,
    secret: str,
    effective_s: int,
    now: int,
    payload: str = "",
    mode: Mode,
) -> str:
    """Return a token valid from `now` (Unix seconds) for `effective_s`; raises TokenInputError."""
    check_inputs(app_id=app_id, user_id=user_id, secret=secret, effective_s=effective_s)
    claims = TokenClaims(
        app_id=app_id,
        user_id=user_id,
        nonce=secrets.randbits(32) - 2**31,
        ctime=now,
        expire=now + effective_s,
        payload=payload,
    )
    return _seal(claims, secret=secret.encode(), mode=mode)


def open_token(token: str, *, secret: str) -> tuple[Mode, TokenClaims]:
    """Decrypt a token and check its consistency but not its time; raises TokenRejectedError."""
    outer_expire, iv, ciphertext, mode = _unpack(token)
    try:
        plaintext = _decrypt(mode, secret.encode(), iv, ciphertext)
        claims = _parse_claims(plaintext)
    except (InvalidTag, ValueError) as error:
        raise TokenRejectedError("the token does not decrypt to claims") from error
    if claims.expire != outer_expire:
        # The outer copy is not covered by the cipher.
        raise TokenRejectedError("the token's two expiry times differ")
    return mode, claims


def verify_token(token: str, *, app_id: int, user_id: str, secret: str, now: int) -> TokenClaims:
    """Return the claims of a token that is genuine, this user's and not expired."""
    _, claims = open_token(token, secret=secret)
    if claims.app_id != app_id:
        raise TokenRejectedError("the token is for another application")
    if claims.user_id != user_id:
        raise TokenRejectedError("the token is for another user")
    if now >= claims.expire:
        raise TokenRejectedError("the token has expired")
    return claims


def check_inputs(*, app_id: object, user_id: object, secret: str, effective_s: int) -> None:
    """Raise TokenInputError for what no token can be made of.

    Types too: inputs may come from callers that are not type-checked.
    """
    if not isinstance(app_id, int) or isinstance(app_id, bool) or not 0 < app_id <= _MAX_APP_ID:
        raise TokenInputError(TokenFault.APP_ID, "app_id must be a positive 32-bit number")
    if not isinstance(user_id, str) or not 0 < len(user_id.encode()) <= _MAX_USER_ID_BYTES:
        raise TokenInputError(TokenFault.USER_ID, "user_id must have 1 to 64 bytes")
    if len(secret.encode()) != _SECRET_BYTES:
        raise TokenInputError(TokenFault.SECRET, "the server secret must have 32 bytes")
    if effective_s <= 0:
        raise TokenInputError(TokenFault.EFFECTIVE_SECONDS, "the validity must be positive")


def _seal(claims: TokenClaims, *, secret: bytes, mode: Mode) -> str:
    plaintext = _compact(
        {
            "app_id": claims.app_id,
            "user_id": claims.user_id,
            "nonce": claims.nonce,
            "ctime": claims.ctime,
            "expire": claims.expire,
            "payload": claims.payload,
        }
    ).encode()
    match mode:
        case Mode.CBC:
            iv = secrets.token_bytes(_CBC_IV_BYTES)
            padder = PKCS7(_AES_BLOCK_BITS).padder()
            encryptor = Cipher(algorithms.AES(secret), modes.CBC(iv)).encryptor()
            padded = padder.update(plaintext) + padder.finalize()
            ciphertext = encryptor.update(padded) + encryptor.finalize()
            trailer = b""
        case Mode.GCM:
            iv = secrets.token_bytes(_GCM_NONCE_BYTES)
            ciphertext = AESGCM(secret).encrypt(iv, plaintext, None)
            trailer = b"\x01"
    packed = (
        struct.pack(">qH", claims.expire, len(iv))
        + iv
        + struct.pack(">H", len(ciphertext))
        + ciphertext
        + trailer
    )
    return _PREFIX + base64.b64encode(packed).decode()


def _unpack(token: str) -> tuple[int, bytes, bytes, Mode]:
    """Split a token into expiry, IV, ciphertext and mode."""
    if not token.startswith(_PREFIX):
        raise TokenRejectedError("the token's version is not 04")
    try:
        packed = base64.b64decode(token.removeprefix(_PREFIX), validate=True)
        expire, iv_length = struct.unpack_from(">qH", packed, 0)
        (ciphertext_length,) = struct.unpack_from(">H", packed, 10 + iv_length)
    except (binascii.Error, ValueError, struct.error) as error:
        raise TokenRejectedError("the token is not well-formed") from error
    iv = packed[10 : 10 + iv_length]
    start = 12 + iv_length
    ciphertext = packed[start : start + ciphertext_length]
    match packed[start + ciphertext_length :]:
        case b"" | b"\x00" if len(ciphertext) == ciphertext_length:
            return expire, iv, ciphertext, Mode.CBC
        case b"\x01":
            return expire, iv, ciphertext, Mode.GCM
        case _:
            raise TokenRejectedError("the token's lengths do not add up")


def _decrypt(mode: Mode, secret: bytes, iv: bytes, ciphertext: bytes) -> bytes:
    match mode:
        case Mode.GCM:
            return AESGCM(secret).decrypt(iv, ciphertext, None)
        case Mode.CBC:
            decryptor = Cipher(algorithms.AES(secret), modes.CBC(iv)).decryptor()
            unpadder = PKCS7(_AES_BLOCK_BITS).unpadder()
            padded = decryptor.update(ciphertext) + decryptor.finalize()
            return unpadder.update(padded) + unpadder.finalize()


def _parse_claims(plaintext: bytes) -> TokenClaims:
    """Parse, never compare: key order and spacing differ between the vendor's generators."""
    fields = json.loads(plaintext)
    match fields:
        case {
            "app_id": int(app_id),
            "user_id": str(user_id),
            "nonce": int(nonce),
            "ctime": int(ctime),
            "expire": int(expire),
            "payload": str(payload),
        }:
            return TokenClaims(
                app_id=app_id,
                user_id=user_id,
                nonce=nonce,
                ctime=ctime,
                expire=expire,
                payload=payload,
            )
        case _:
            raise TokenRejectedError("the token lacks claims")


def _compact(fields: dict[str, object]) -> str:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
