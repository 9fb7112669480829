"""A journal's database as seen from outside: how large it is, and what it has done."""

import sqlite3
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import asyncpg
import psutil

_CHANGES = struct.Struct("=I")
_CHANGES_AT = 8
"""Where the index of SQLite's write-ahead log counts its transactions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Counters at one moment; `None` where the database does not tell."""

    stored_bytes: int
    writes: int
    """Transactions that changed something."""
    transactions: int | None = None
    """All transactions, those of this reading included."""
    log_bytes: int | None = None
    """What was written to the log ahead of the tables."""
    server_cpu_s: float | None = None


class JournalDatabase(Protocol):
    """A database that can be read beside the service that uses it."""

    async def read(self) -> Reading:
        """Return the counters as they are."""


class SqliteFile:
    """A SQLite file in WAL mode that a process has open."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def read(self) -> Reading:
        """Return the counters as they are."""
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)) as connection:
            pages, size = (
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "page_size")
            )
        index = self._path.with_name(f"{self._path.name}-shm").read_bytes()
        (writes,) = _CHANGES.unpack_from(index, _CHANGES_AT)
        return Reading(stored_bytes=pages * size, writes=writes)


class PostgresDatabase:
    """A PostgreSQL database; the CPU of its server is read if that runs on this machine."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection

    async def read(self) -> Reading:
        """Return the counters as they are."""
        row = await self._connection.fetchrow(
            "SELECT pg_database_size(current_database()) AS stored_bytes,"
            " txid_snapshot_xmax(txid_current_snapshot()) AS writes,"
            " xact_commit AS transactions,"
            " pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint AS log_bytes,"
            " pg_backend_pid() AS pid"
            " FROM pg_stat_database WHERE datname = current_database()"
        )
        assert row is not None
        return Reading(
            stored_bytes=row["stored_bytes"],
            writes=row["writes"],
            transactions=row["transactions"],
            log_bytes=row["log_bytes"],
            server_cpu_s=_server_cpu_s(row["pid"]),
        )


@asynccontextmanager
async def opened(setting: str) -> AsyncIterator[JournalDatabase]:
    """Open what TASK_DATABASE names."""
    if not setting.startswith(("postgresql://", "postgres://")):
        yield SqliteFile(Path(setting))
        return
    connection = await asyncpg.connect(setting, statement_cache_size=0)
    try:
        yield PostgresDatabase(connection)
    finally:
        await connection.close()


def _server_cpu_s(backend_pid: int) -> float | None:
    """Return the CPU time of all processes of a server of this machine, those that ended too."""
    try:
        backend = psutil.Process(backend_pid)
        server = backend.parent()
        if server is None or "postgres" not in backend.name():
            return None
        used = sum(server.cpu_times()[:4])
        return float(used + sum(sum(each.cpu_times()[:2]) for each in server.children()))
    except psutil.NoSuchProcess:
        return None
