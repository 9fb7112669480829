"""Which replicas are alive, and who has which duty.

A replica that shows no sign of life for LEASE_S holds nothing any more. The database's clock
counts, so the replicas' clocks need not agree.
"""

from functools import partial

from services.task.journal.database import Database, Transaction
from services.task.ports.replicas import LEASE_S, Replica

_LEASE_MICROS = int(LEASE_S * 1_000_000)
# Long enough that whoever asks for the owner of a conversation gets its address.
_FORGOTTEN_MICROS = 3600 * 1_000_000


def is_alive(column: str) -> str:
    """Return the condition that the replica of a column shows signs of life."""
    return (
        f"EXISTS (SELECT 1 FROM replicas WHERE replicas.replica_id = {column}"
        " AND expires_at > now_micros())"
    )


async def is_kept(transaction: Transaction, replica_id: str) -> bool:
    """Return whether a replica, if it is one, shows signs of life."""
    sql = "SELECT 1 FROM replicas WHERE replica_id = $1 AND expires_at > now_micros()"
    return bool(replica_id) and await transaction.fetch_one(sql, replica_id) is not None


async def succeed(transaction: Transaction) -> None:
    """Free what an earlier process held, which was the only one to use this database.

    The replicas that it kept alive could show it no sign of life meanwhile.
    """
    await transaction.execute("DELETE FROM replicas WHERE address = ''")
    await transaction.execute("UPDATE replicas SET expires_at = now_micros() + $1", _LEASE_MICROS)


class SqlReplicas:
    """Keeps replicas and their duties in the journal's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, replica: Replica) -> None:
        """Keep a replica alive for LEASE_S; it takes the place of an older one at its address."""
        await self._database.transact(partial(_keep, replica=replica))

    async def forget(self, replica_id: str) -> None:
        """Free what a replica holds, as it is about to end."""
        await self._database.transact(partial(_forget, replica_id=replica_id))

    async def lead(self, duty: str, replica_id: str) -> bool:
        """Return whether a replica is the one that has a duty, which it keeps while it is alive."""
        return await self._database.transact(partial(_lead, duty=duty, replica_id=replica_id))


async def _keep(transaction: Transaction, replica: Replica) -> None:
    await transaction.execute(
        "DELETE FROM replicas WHERE expires_at < now_micros() - $3"
        " OR address <> '' AND address = $1 AND replica_id <> $2",
        replica.address,
        replica.replica_id,
        _FORGOTTEN_MICROS,
    )
    await transaction.execute(
        "INSERT INTO replicas (replica_id, address, expires_at)"
        " VALUES ($1, $2, now_micros() + $3)"
        " ON CONFLICT (replica_id) DO UPDATE"
        " SET address = excluded.address, expires_at = excluded.expires_at",
        replica.replica_id,
        replica.address,
        _LEASE_MICROS,
    )


async def _forget(transaction: Transaction, replica_id: str) -> None:
    await transaction.execute("DELETE FROM replicas WHERE replica_id = $1", replica_id)


async def _lead(transaction: Transaction, duty: str, replica_id: str) -> bool:
    """Return whether a replica has a duty; a duty that nobody has is given to the first to ask."""
    await transaction.execute(
        "INSERT INTO duties (duty, owner) VALUES ($1, $2)"
        " ON CONFLICT (duty) DO UPDATE SET owner = excluded.owner"
        f" WHERE duties.owner <> excluded.owner AND NOT {is_alive('duties.owner')}",
        duty,
        replica_id,
    )
    row = await transaction.fetch_one("SELECT owner FROM duties WHERE duty = $1", duty)
    return row is not None and row["owner"] == replica_id
