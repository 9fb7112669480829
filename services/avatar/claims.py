"""Claims on avatars where this is the only replica."""

from dataclasses import dataclass, field
from uuid import UUID, uuid4


@dataclass(frozen=True, slots=True, kw_only=True)
class UndisputedClaim:
    """A claim that nobody else can have."""

    claim_id: UUID = field(default_factory=uuid4)
    is_doubtful: bool = False

    async def take(self) -> None:
        """Do nothing: there is nobody to take it from."""

    async def stands(self) -> bool:
        """Return True: newer drives of this process end older ones themselves."""
        return True


class UndisputedClaims:
    """All avatars are ours."""

    def new(self, avatar_id: str) -> UndisputedClaim:
        """Return the claim for a new drive."""
        return UndisputedClaim()

    async def holder(self, avatar_id: str) -> str | None:
        """Return None: there are no other replicas."""
        return None
