"""Where the database's file is: held against other processes, and watched while it is open."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from pathlib import Path
from typing import IO, TypeAlias

from services.task.journal.database import DatabaseError

Identity: TypeAlias = tuple[int, int]
"""Device and inode: a file at the same path may be another one."""

COMPANIONS = ("-wal", "-shm")
"""What SQLite appends to the name for the files beside the database."""


class Place(Enum):
    """What is at the path of an open database."""

    SAME = auto()
    EMPTY = auto()
    ANOTHER = auto()
    """Another file, or a lock that another process holds."""


class DatabaseFile:
    """A path that this process holds; used inside `held`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._identity: Identity | None = None
        self._lock: IO[str] | None = None

    @property
    def lock_path(self) -> Path:
        """The file whose lock says who uses the database."""
        return self.path.with_name(f"{self.path.name}.lock")

    def hold(self) -> None:
        """Keep every other process out. Raises DatabaseError."""
        # Each of two processes would take the other's running creations for leftovers of a crash.
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = self.lock_path.open("w")
        except OSError as error:
            raise DatabaseError(f"{self.path}: {error.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise DatabaseError(f"{self.path}: another process uses this database") from None
        self.release()
        self._lock = lock

    def release(self) -> None:
        """Let others in."""
        if self._lock is not None:
            self._lock.close()

    def note(self) -> None:
        """Remember the file that is at the path now as the open one."""
        self._identity = _identity(self.path)

    def place(self) -> Place:
        """Return what is at the path; a lock that was deleted is taken again."""
        if self._lock is None or _identity(self.lock_path) != _identity(self._lock.fileno()):
            try:
                self.hold()
            except DatabaseError:
                return Place.ANOTHER
        there = _identity(self.path)
        if there is None:
            return Place.EMPTY
        return Place.SAME if there == self._identity else Place.ANOTHER


@contextmanager
def held(path: Path) -> Iterator[DatabaseFile]:
    """Hold a path while the block is open. Raises DatabaseError."""
    file = DatabaseFile(path)
    file.hold()
    try:
        yield file
    finally:
        file.release()


def create_private(path: Path) -> None:
    """Make an empty file, unless there is one: its owner alone may read what people said.

    What SQLite writes beside it gets the same rights. Raises OSError.
    """
    if not path.exists():
        path.touch(mode=0o600)


def _identity(file: Path | int) -> Identity | None:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_dev, found.st_ino
