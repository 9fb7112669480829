"""Claims on avatars, as all replicas see them: one row per avatar, which each new drive takes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias
from uuid import UUID, uuid4

from services.avatar.postgres.database import Database, DatabaseAwayError
from services.avatar.postgres.replica import Replica

GiveWay: TypeAlias = Callable[[str, str, UUID], Awaitable[None]]
"""Has the replica at an address end the drive of an avatar with this claim; never fails."""

_TAKE = """
    INSERT INTO avatar.drives AS drive (avatar_id, claim_id, replica_id) VALUES ($1, $2, $3)
    ON CONFLICT (avatar_id) DO UPDATE SET
        previous_claim_id = drive.claim_id,
        previous_replica_id = drive.replica_id,
        claim_id = excluded.claim_id,
        replica_id = excluded.replica_id,
        taken_at = excluded.taken_at
    RETURNING previous_claim_id, (
        SELECT address FROM avatar.replicas AS replica
        WHERE replica.replica_id = previous_replica_id
            AND expires_at > clock_timestamp() AND address <> $4
    ) AS address
"""
_STANDS = "SELECT FROM avatar.drives WHERE avatar_id = $1 AND claim_id <> $2"
_HOLDER = """
    SELECT address FROM avatar.drives JOIN avatar.replicas USING (replica_id)
    WHERE avatar_id = $1 AND expires_at > clock_timestamp() AND address <> $2
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresClaim:
    """A claim that is a row; while the database is away, it stands."""

    avatar_id: str
    database: Database
    replica: Replica
    give_way: GiveWay
    claim_id: UUID = field(default_factory=uuid4)

    @property
    def is_doubtful(self) -> bool:
        """Whether the others may have taken this replica for dead."""
        return self.replica.is_doubtful

    async def take(self) -> None:
        """Take the avatar, and have the replica that had it fall silent."""
        try:
            row = await self.database.ask(
                _TAKE,
                self.avatar_id,
                self.claim_id,
                self.replica.replica_id,
                self.replica.address,
            )
        except DatabaseAwayError:
            return
        if row is not None and row["address"] is not None:
            await self.give_way(row["address"], self.avatar_id, row["previous_claim_id"])

    async def stands(self) -> bool:
        """Return whether no newer drive has taken the avatar."""
        try:
            return await self.database.ask(_STANDS, self.avatar_id, self.claim_id) is None
        except DatabaseAwayError:
            return True


class PostgresClaims:
    """The claims of one replica, and the addresses of others."""

    def __init__(self, database: Database, replica: Replica, *, give_way: GiveWay) -> None:
        self._database = database
        self._replica = replica
        self._give_way = give_way

    def new(self, avatar_id: str) -> PostgresClaim:
        """Return the claim for a new drive."""
        return PostgresClaim(
            avatar_id=avatar_id,
            database=self._database,
            replica=self._replica,
            give_way=self._give_way,
        )

    async def holder(self, avatar_id: str) -> str | None:
        """Return the address of the other replica that had this avatar last, if it is alive."""
        try:
            row = await self._database.ask(_HOLDER, avatar_id, self._replica.address)
        except DatabaseAwayError:
            return None
        return None if row is None else str(row["address"])
