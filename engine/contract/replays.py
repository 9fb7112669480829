"""Signatures that were used: each is good for one call, also after a restart."""

import asyncio
import sqlite3
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing, contextmanager
from contextvars import copy_context
from functools import partial
from pathlib import Path

import structlog

log = structlog.get_logger()

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS signatures (
        signature TEXT PRIMARY KEY, valid_until REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS signatures_by_validity ON signatures (valid_until);
"""
_LOCKED_S = 1.0
_UNWRITABLE = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY)


class UsedSignatures:
    """Remembers signatures for as long as they would be valid.

    What the disk does not take is remembered by this process alone: a task must be stopped all the
    same. What cannot be looked up is not let through: the methods raise sqlite3.Error for a file
    that is damaged, or locked by others.

    The file is used in one thread, in the order of the calls: now and then a write waits until the
    disk has all, for a third of a second and more, in which everybody is served on.
    """

    def __init__(self, connection: sqlite3.Connection, thread: Executor) -> None:
        self._connection = connection
        self._thread = thread
        self._unwritten: dict[str, float] = {}
        """Until when they are valid."""

    async def use(self, signature: str, *, now: float, valid_s: float) -> bool:
        """Whether a signature is used for the first time; times in Unix seconds."""
        using = partial(self._use, signature, now=now, valid_s=valid_s)
        # What is logged there names the process and the request.
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, copy_context().run, using)

    def _use(self, signature: str, *, now: float, valid_s: float) -> bool:
        self._unwritten = {name: end for name, end in self._unwritten.items() if end >= now}
        if signature in self._unwritten:
            return False
        try:
            return self._write(signature, now=now, valid_until=now + valid_s)
        except sqlite3.OperationalError as error:
            # The rest of the code says more than which kind of error it is.
            if error.sqlite_errorcode & 0xFF not in _UNWRITABLE:
                raise
            log.warning("signature not written", error=error.sqlite_errorname)
        if self._is_written(signature):
            return False
        self._unwritten[signature] = now + valid_s
        return True

    def _write(self, signature: str, *, now: float, valid_until: float) -> bool:
        self._connection.execute("DELETE FROM signatures WHERE valid_until < ?", (now,))
        cursor = self._connection.execute(
            "INSERT OR IGNORE INTO signatures VALUES (?, ?)", (signature, valid_until)
        )
        return cursor.rowcount == 1

    def _is_written(self, signature: str) -> bool:
        ask = "SELECT 1 FROM signatures WHERE signature = ?"
        return self._connection.execute(ask, (signature,)).fetchone() is not None


@contextmanager
def used_signatures(path: Path | None) -> Iterator[UsedSignatures]:
    """Remember signatures in a file, or without one only until the end of the block.

    Raises OSError if the file cannot be used.
    """
    with closing(_opened(path)) as connection, ThreadPoolExecutor(1, "signatures") as thread:
        yield UsedSignatures(connection, thread)


def _opened(path: Path | None) -> sqlite3.Connection:
    try:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
        # Each statement commits by itself. It is used in a thread of its own.
        connection = sqlite3.connect(
            path or ":memory:", timeout=_LOCKED_S, isolation_level=None, check_same_thread=False
        )
        # What the process has written survives its death; only a power cut may lose the last.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(_SCHEMA)
    except sqlite3.DatabaseError as error:
        raise OSError(f"{path}: cannot remember signatures: {error}") from None
    return connection
