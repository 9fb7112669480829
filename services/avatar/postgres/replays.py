"""Signatures of callbacks, remembered for all replicas: each may get the next callback."""

from services.avatar.postgres.database import Database, DatabaseAwayError
from services.avatar.vendor.replays import SeenSignatures

_FIRST = """
    WITH over AS (
        DELETE FROM avatar.callbacks WHERE kept_until < $3 AND signature <> $1
    )
    INSERT INTO avatar.callbacks AS seen (signature, digest, kept_until)
    VALUES ($1, $2, $4)
    ON CONFLICT (signature) DO UPDATE SET digest = seen.digest
    RETURNING digest
"""


class SharedSignatures:
    """Those that any replica has seen; while the database is away, those that `alone` knows."""

    def __init__(self, database: Database, *, alone: SeenSignatures) -> None:
        self._database = database
        self._alone = alone

    async def first_digest(
        self, signature: str, digest: bytes, *, now: float, kept_s: float
    ) -> bytes:
        """Return the digest of the first body with this signature."""
        known = await self._alone.first_digest(signature, digest, now=now, kept_s=kept_s)
        try:
            row = await self._database.ask(_FIRST, signature, known, now, now + kept_s)
        except DatabaseAwayError:
            return known
        assert row is not None
        first: bytes = row["digest"]
        return first
