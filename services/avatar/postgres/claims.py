"""Claims on avatars, as all replicas see them: one row per avatar, which each new drive takes."""

from collections.abc import Awaitable, Callable
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


class PostgresClaim:
    """A claim that is a row; while the database is away, it stands."""

    def __init__(
        self, avatar_id: str, database: Database, replica: Replica, give_way: GiveWay
    ) -> None:
        self.claim_id = uuid4()
        self._avatar_id = avatar_id
        self._database = database
        self._replica = replica
        self._give_way = give_way
        self._stood_at = replica.now()

    @property
    def is_doubtful(self) -> bool:
        """Whether others may have found this replica dead since the claim is known to stand."""
        return not self._replica.was_beating_since(self._stood_at)

    async def take(self) -> None:
        """Take the avatar, and have the replica that had it fall silent."""
        now = self._replica.now()
        try:
            row = await self._database.ask(
                _TAKE,
                self._avatar_id,
                self.claim_id,
                self._replica.replica_id,
                self._replica.address,
            )
        except DatabaseAwayError:
            return
        self._stood_at = now
        if row is not None and row["address"] is not None:
            await self._give_way(row["address"], self._avatar_id, row["previous_claim_id"])

    async def stands(self) -> bool:
        """Return whether no newer drive has taken the avatar."""
        now = self._replica.now()
        try:
            newer = await self._database.ask(_STANDS, self._avatar_id, self.claim_id)
        except DatabaseAwayError:
            return True
        self._stood_at = now
        return newer is None


class PostgresClaims:
    """The claims of one replica, and the addresses of others."""

    def __init__(self, database: Database, replica: Replica, *, give_way: GiveWay) -> None:
        self._database = database
        self._replica = replica
        self._give_way = give_way

    def new(self, avatar_id: str) -> PostgresClaim:
        """Return the claim for a new drive."""
        return PostgresClaim(avatar_id, self._database, self._replica, self._give_way)

    async def holder(self, avatar_id: str) -> str | None:
        """Return the address of the other replica that had this avatar last, if it is alive."""
        try:
            row = await self._database.ask(_HOLDER, avatar_id, self._replica.address)
        except DatabaseAwayError:
            return None
        return None if row is None else str(row["address"])
