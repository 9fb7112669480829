"""Viewer tokens of the engine: JWTs, signed with a key derived for this purpose alone."""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.jwk import OctKey

_ALGORITHM = "HS256"
_KEY_BYTES = 32
_INFO = b"parley engine token: viewer"


def sign_engine_token(
    *, app_id: int, user_id: str, room_id: str, secret: str, effective_s: int, now: int
) -> str:
    """Return a token for one room, or for any if none is named; `now` in Unix seconds."""
    claims = {
        "aud": "viewer",
        "iss": str(app_id),
        "sub": user_id,
        "iat": now,
        "exp": now + effective_s,
        **({"room": room_id} if room_id else {}),
    }
    key = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=_INFO).derive(secret.encode())
    return jwt.encode({"alg": _ALGORITHM}, claims, OctKey.import_key(key))
