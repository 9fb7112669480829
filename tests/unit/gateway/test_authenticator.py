"""Guesses are throttled by address, and cost nothing behind the gateway."""

from dataclasses import dataclass, field

import pytest

from gateway.access.authenticator import Authenticator
from gateway.access.principal import Principal, Role
from gateway.access.rate_limit import RateLimit
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason

GUESSER, OTHER = "192.0.2.1", "192.0.2.2"
ADA = Principal(credential_id="key_1", actor="key test", role=Role.SERVER)


@dataclass(slots=True)
class ScriptedDirectory:
    """Knows one principal from a moment ago, if any, and nobody else."""

    remembered: Principal | None = None
    looked_up: list[bytes] = field(default_factory=list)

    def known(self, digest: bytes) -> Principal | None:
        return self.remembered

    async def find(self, digest: bytes) -> Principal:
        self.looked_up.append(digest)
        raise ServiceError(Reason.CREDENTIALS_INVALID, "not here")

    async def redeem(self, digest: bytes) -> Principal:
        return await self.find(digest)


async def refusal(door: Authenticator, secret: str, address: str) -> Reason:
    with pytest.raises(ServiceError) as caught:
        await door.principal(secret, address)
    return caught.value.reason


@pytest.mark.parametrize("prefix", ["parley_key_", "parley_ticket_", "parley_once_"])
async def test_guesses_are_not_looked_up_for_long(prefix: str) -> None:
    directory = ScriptedDirectory()
    failures = RateLimit(per_second=1, clock=lambda: 0.0)
    door = Authenticator(keys=["a-static-key-0123456789"], directory=directory, failures=failures)
    refused = [await refusal(door, f"{prefix}{guess}", GUESSER) for guess in range(5)]
    assert refused == [Reason.CREDENTIALS_INVALID] * 2 + [Reason.RATE_LIMITED] * 3
    assert len(directory.looked_up) == 2
    # Others are asked about, and whoever is known is let in, whatever came from the address.
    assert await refusal(door, f"{prefix}x", OTHER) is Reason.CREDENTIALS_INVALID
    assert (await door.principal("a-static-key-0123456789", GUESSER)).role is Role.OPERATOR
    directory.remembered = ADA
    assert await door.principal("parley_key_x", GUESSER) is ADA
