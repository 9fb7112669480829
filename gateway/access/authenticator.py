"""From a credential to the principal who holds it."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Protocol

from gateway.access.presented import KEY_PREFIX, ONCE_PREFIX, TICKET_PREFIX
from gateway.access.principal import Principal, Role
from gateway.access.rate_limit import RateLimit
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason

FAILURES_PER_SECOND = 5.0
"""Wrong credentials of one address that are answered as such, and looked up at all."""


class Directory(Protocol):
    """The keys and tickets that are kept by the task service, by the SHA-256 of their secrets.

    Every method raises ServiceError, with CREDENTIALS_INVALID for a credential that is not good.
    """

    def known(self, digest: bytes) -> Principal | None:
        """Return who was found to hold a credential a moment ago."""

    async def find(self, digest: bytes) -> Principal:
        """Return who holds a key, or a ticket that may be used again."""

    async def redeem(self, digest: bytes) -> Principal:
        """Return who holds a single-use ticket, and use it up."""


class Users(Protocol):
    """The users whose tokens an identity provider signs."""

    async def read(self, token: str) -> Principal:
        """Return whose token it is; raises ServiceError CREDENTIALS_INVALID."""


class Authenticator:
    """Finds out who calls. Whatever is wrong with a credential, the answer is the same."""

    def __init__(
        self,
        *,
        keys: Sequence[str],
        directory: Directory,
        users: Users | None = None,
        failures: RateLimit | None = None,
    ) -> None:
        """`keys` are those of the settings: an operator's of the default tenant."""
        self._keys = [_digest(key) for key in keys]
        self._directory = directory
        self._users = users
        self._failures = failures or RateLimit(FAILURES_PER_SECOND)

    async def principal(self, credential: str, address: str) -> Principal:
        """Return who holds a credential; raises ServiceError."""
        try:
            return await self._found(credential, address)
        except ServiceError as error:
            if error.reason is not Reason.CREDENTIALS_INVALID:
                raise
            self._failures.take(address)
            raise invalid_credentials() from None

    async def _found(self, credential: str, address: str) -> Principal:
        digest = _digest(credential)
        # All are compared, so that timing reveals nothing.
        matches = [hmac.compare_digest(digest, key) for key in self._keys]
        if any(matches):
            name = f"key {matches.index(True)}"
            # One key may be used by many machines.
            return Principal(credential_id=f"{name} {address}", actor=name, role=Role.OPERATOR)
        if credential.startswith((KEY_PREFIX, TICKET_PREFIX)):
            if known := self._directory.known(digest):
                return known
            self._failures.check(address)
            return await self._directory.find(digest)
        if credential.startswith(ONCE_PREFIX):
            self._failures.check(address)
            return await self._directory.redeem(digest)
        if self._users is not None and credential.count(".") == 2:
            return await self._users.read(credential)
        raise invalid_credentials()


def invalid_credentials() -> ServiceError:
    """Return the one answer for every credential that is missing or not good."""
    return ServiceError(
        Reason.CREDENTIALS_INVALID,
        "A valid API key, ticket or user's token is required, as `Authorization: Bearer`; a key"
        " also as `X-Api-Key`.",
    )


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
