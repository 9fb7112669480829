"""Signatures of callbacks and the bodies that they came with, also after a restart."""

import asyncio
import sqlite3
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing, contextmanager
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import Protocol

import structlog

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason

log = structlog.get_logger(__name__)

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS callbacks (
        signature TEXT PRIMARY KEY, digest BLOB NOT NULL, kept_until REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS callbacks_by_time ON callbacks (kept_until);
"""
_LOCKED_S = 1.0


class SeenSignatures(Protocol):
    """Remembers which body each signature came with."""

    async def first_digest(
        self, signature: str, digest: bytes, *, now: float, kept_s: float
    ) -> bytes:
        """Return the digest of the first body with this signature: the given one if it is new.

        It is kept for so many seconds; `now` in Unix seconds. Raises ServiceError.
        """


class StoredSignatures:
    """Those that this process has seen, and the ones before it that had the same file.

    What cannot be written, as the disk is full, is remembered by this process alone: what the cloud
    tells of playback is wanted all the same. What cannot be looked up may be a replay: that raises
    ServiceError.

    The file is used in one thread, in the order of the calls: a write may wait for the disk, while
    all conversations go on.
    """

    def __init__(self, connection: sqlite3.Connection, thread: Executor) -> None:
        self._connection = connection
        self._thread = thread
        self._unwritten: dict[str, tuple[bytes, float]] = {}
        """Their digests, and until when they are kept."""

    async def first_digest(
        self, signature: str, digest: bytes, *, now: float, kept_s: float
    ) -> bytes:
        """Return the digest of the first body with this signature."""
        finding = partial(self._first_digest, signature, digest, now=now, kept_s=kept_s)
        # What is logged there names the process and the request.
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, copy_context().run, finding)

    def _first_digest(self, signature: str, digest: bytes, *, now: float, kept_s: float) -> bytes:
        self._unwritten = {
            name: (known, end) for name, (known, end) in self._unwritten.items() if end >= now
        }
        if signature in self._unwritten:
            return self._unwritten[signature][0]
        ask = self._connection.execute
        try:
            ask("DELETE FROM callbacks WHERE kept_until < ?", (now,))
            row = (signature, digest, now + kept_s)
            ask("INSERT OR IGNORE INTO callbacks VALUES (?, ?, ?)", row)
        except sqlite3.Error as error:
            log.warning("signature not written", error=_name(error))
        first = self._written(signature)
        if first is None:
            self._unwritten[signature] = (digest, now + kept_s)
        return first or digest

    def _written(self, signature: str) -> bytes | None:
        ask = "SELECT digest FROM callbacks WHERE signature = ?"
        try:
            found = self._connection.execute(ask, (signature,)).fetchone()
        except sqlite3.Error as error:
            log.warning("signatures not read", error=_name(error))
            raise ServiceError(
                Reason.DEPENDENCY_UNAVAILABLE, "Nobody can tell whether the callback is a replay."
            ) from None
        return found and bytes(found[0])


def _name(error: sqlite3.Error) -> str:
    """Return SQLite's name of an error, which those of the module itself do not have."""
    return getattr(error, "sqlite_errorname", type(error).__name__)


@contextmanager
def stored_signatures(path: Path | None) -> Iterator[StoredSignatures]:
    """Remember signatures in a file, or without one only until the end of the block.

    Raises OSError if the file cannot be used.
    """
    with closing(_opened(path)) as connection, ThreadPoolExecutor(1, "signatures") as thread:
        yield StoredSignatures(connection, thread)


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
