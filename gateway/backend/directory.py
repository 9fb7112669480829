"""The keys and tickets that the task service keeps, remembered for a moment."""

import time
from collections import OrderedDict
from collections.abc import Callable

from digitalhuman.access.v1 import access_pb2 as pb
from gateway.access.principal import Principal, Role
from gateway.backend.services import Backend

REMEMBERED_S = 5.0
"""How long a credential is believed without asking: so long after it was revoked or has expired, it
may still be let in."""

MOST_REMEMBERED = 10_000


class StoredCredentials:
    """Looks credentials up. Every method raises ServiceError."""

    def __init__(self, backend: Backend, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._backend = backend
        self._clock = clock
        self._found: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()

    def known(self, digest: bytes) -> Principal | None:
        """Return who was found to hold a credential a moment ago."""
        found = self._found.get(digest)
        if found is None:
            return None
        principal, forget_at = found
        return principal if self._clock() < forget_at else None

    async def find(self, digest: bytes) -> Principal:
        """Return who holds a key, or a ticket that may be used again."""
        request = pb.AuthenticateRequest(digest=digest)
        found = await self._backend.ask(self._backend.access.Authenticate, request)
        principal = _principal(found.principal)
        # A ticket without a task may get one at any moment, at another gateway.
        if not principal.ticket_id or principal.task_id:
            self._remember(digest, principal)
        return principal

    async def redeem(self, digest: bytes) -> Principal:
        """Return who holds a single-use ticket, and use it up."""
        request = pb.RedeemTicketRequest(digest=digest)
        found = await self._backend.ask(self._backend.access.RedeemTicket, request)
        return _principal(found.principal)

    def _remember(self, digest: bytes, principal: Principal) -> None:
        self._found[digest] = (principal, self._clock() + REMEMBERED_S)
        self._found.move_to_end(digest)
        if len(self._found) > MOST_REMEMBERED:
            self._found.popitem(last=False)


def _principal(found: pb.Principal) -> Principal:
    is_ticket = not found.name
    holder = found.name or found.user_id or found.task_id
    return Principal(
        credential_id=found.credential_id,
        actor=f"{'ticket of' if is_ticket else 'key'} {holder}",
        role=Role[pb.Role.Name(found.role).removeprefix("ROLE_")],
        tenant_id=found.tenant_id,
        user_id=found.user_id,
        ticket_id=found.credential_id if is_ticket else "",
        task_id=found.task_id,
    )
