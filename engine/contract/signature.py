"""The cloud's two signatures: of calls to it (MD5) and of its callbacks (SHA-1)."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.contract.codes import Code, Refusal
from engine.contract.replays import UsedSignatures

WINDOW_S = 600
MAX_APP_ID = 2**32 - 1


def sign_call(*, app_id: int, nonce: str, server_secret: str, timestamp: int) -> str:
    """Return the signature of a call: 32 lower-case hex characters."""
    text = f"{app_id}{nonce}{server_secret}{timestamp}"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def sign_callback(*, callback_secret: str, timestamp: str, nonce: str) -> str:
    """Return the signature of a callback: 40 lower-case hex characters."""
    parts = sorted(part.encode() for part in (callback_secret, timestamp, nonce))
    return hashlib.sha1(b"".join(parts), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallVerifier:
    """Checks the common query parameters of a call, in the gateway's order."""

    app_id: int
    server_secrets: Sequence[str]
    """All are accepted, so that callers can change theirs one by one."""
    used: UsedSignatures

    async def verify(self, query: Mapping[str, str], *, now: float) -> None:
        """Raise `Refusal` with the code of the first rule that the query violates."""
        for name, missing in (
            ("Timestamp", Code.TIMESTAMP_EMPTY),
            ("SignatureNonce", Code.NONCE_EMPTY),
            ("Signature", Code.SIGNATURE_EMPTY),
            ("SignatureVersion", Code.VERSION_EMPTY),
        ):
            if not query.get(name):
                raise Refusal(missing)
        app_id = _decimal(query.get("AppId", ""), Code.APP_ID_FORMAT)
        if not 0 < app_id <= MAX_APP_ID:
            raise Refusal(Code.APP_ID_FORMAT)
        timestamp = _decimal(query["Timestamp"], Code.TIMESTAMP_FORMAT)
        if query["SignatureVersion"] != "2.0":
            raise Refusal(Code.VERSION_UNSUPPORTED)
        if app_id != self.app_id:
            raise Refusal(Code.APP_ID_UNKNOWN)
        if abs(now - timestamp) > WINDOW_S:
            raise Refusal(Code.SIGNATURE_EXPIRED)
        expected = [
            sign_call(
                app_id=app_id,
                nonce=query["SignatureNonce"],
                server_secret=secret,
                timestamp=timestamp,
            )
            for secret in self.server_secrets
        ]
        given = query["Signature"].encode()
        if not any([hmac.compare_digest(each.encode(), given) for each in expected]):
            raise Refusal(Code.SIGNATURE_WRONG)
        # From one window before its time stamp until one after it.
        if not await self.used.use(query["Signature"], now=now, valid_s=2 * WINDOW_S):
            raise Refusal(Code.SIGNATURE_WRONG, "signature error: the nonce was used before")


def _decimal(text: str, malformed: Code) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise Refusal(malformed)
    return int(text)
