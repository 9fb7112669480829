"""Users' tokens: JWTs that an identity provider signs, checked with the keys that it publishes.

A token has no say in how it is checked: the algorithms are those of the settings, and the keys are
public ones, with which nothing can be signed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from gateway.access.authenticator import invalid_credentials
from gateway.access.principal import Principal, Role
from services.runtime.callers.caller import DEFAULT_TENANT, LONGEST_USER_BYTES, check_tenant_id

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
"""Those that check with a public key."""
LONGEST_TOKEN = 8 * 1024


class Keys(Protocol):
    """The keys that an identity provider publishes."""

    async def current(self) -> KeySet:
        """Return the keys; raises ServiceError when there have never been any."""

    async def with_id(self, kid: str) -> KeySet:
        """Return the keys, fetched anew if none of them has the id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """Which tokens are good."""

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    clock_skew_s: int
    tenant_claim: str
    """The claim that names the tenant; empty: all users are the default tenant's."""


class SignedUsers:
    """Reads users' tokens."""

    def __init__(self, *, rules: TokenRules, keys: Keys, now: Callable[[], float]) -> None:
        """`now` returns Unix seconds."""
        self._rules = rules
        self._keys = keys
        self._claims = jwt.JWTClaimsRegistry(
            now=lambda: int(now()),
            leeway=rules.clock_skew_s,
            iss={"essential": True, "value": rules.issuer},
            aud={"essential": True, "value": rules.audience},
            exp={"essential": True},
            sub={"essential": True},
        )

    async def read(self, token: str) -> Principal:
        """Return whose token it is; raises ServiceError CREDENTIALS_INVALID."""
        if len(token) > LONGEST_TOKEN:
            raise invalid_credentials()
        keys = await self._keys_for(token)
        try:
            claims = jwt.decode(token, keys, algorithms=list(self._rules.algorithms)).claims
            self._claims.validate(claims)
            return self._principal(claims)
        except (JoseError, ValueError, TypeError, KeyError, RecursionError):
            # The last ones: members are used before their types are checked.
            raise invalid_credentials() from None

    async def _keys_for(self, token: str) -> KeySet:
        kid = _kid(token)
        return await (self._keys.with_id(kid) if kid else self._keys.current())

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        """Return who is named; raises ValueError."""
        user_id = claims["sub"]
        if not 0 < len(user_id.encode()) <= LONGEST_USER_BYTES or not user_id.isprintable():
            raise ValueError("sub: cannot be a user's id")
        tenant_id = DEFAULT_TENANT
        if self._rules.tenant_claim:
            tenant_id = check_tenant_id(claims[self._rules.tenant_claim])
        return Principal(
            credential_id=f"user {tenant_id} {user_id}",
            actor=f"user {user_id}",
            role=Role.USER,
            tenant_id=tenant_id,
            user_id=user_id,
        )


def _kid(token: str) -> str:
    """Return which key a token says it was signed with; empty where it does not say."""
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, TypeError, RecursionError):
        raise invalid_credentials() from None
    kid = header.get("kid", "")
    return kid if isinstance(kid, str) else ""
