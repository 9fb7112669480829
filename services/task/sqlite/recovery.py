"""What can be done about a damaged file: say what is wrong with it, and save what can be read."""

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path

from services.task.journal.database import DatabaseError
from services.task.sqlite.file import COMPANIONS, held
from services.task.sqlite.schema import migrate

# Each after those that it refers to, with the columns that order it.
TABLES: Mapping[str, str] = {
    "tasks": "task_id",
    "events": "task_id, sequence",
    "turns": "task_id, turn_id",
    "requests": "request_id",
    "call_facts": "task_id",
    "usage_days": "user_id, day",
    "tenant_usage_days": "tenant_id, user_id, day",
    "provider_usage": "task_id, day, user_id, currency",
    "api_keys": "key_id",
    "tickets": "ticket_id",
    "webhooks": "webhook_id",
    "webhook_keys": "key_id",
    "webhook_deliveries": "webhook_id, event_id",
    "quota_warnings": "tenant_id, kind, user_id, renew_time",
    "audit": "number",
    "timeline": "rowid",
}


def faults(path: Path) -> list[str]:
    """Return what is wrong with a file, of its structure and its indexes; empty when nothing is.

    Raises DatabaseError when it cannot be looked at.
    """
    if not path.exists():
        raise DatabaseError(f"{path}: there is no such file")
    with held(path), closing(_open(path)) as connection:
        try:
            found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
        except sqlite3.DatabaseError as error:
            return [str(error)]
    return [] if found == ["ok"] else [line for each in found for line in each.splitlines()]


def recover(path: Path) -> tuple[Mapping[str, int], Path]:
    """Put a new file in the place of a damaged one, with all rows that can be read.

    Returns the number of rows by table, and where the damaged file is kept. Raises DatabaseError.
    """
    if not path.exists():
        raise DatabaseError(f"{path}: there is no such file")
    saved = path.with_name(f"{path.name}.recovered")
    saved.unlink(missing_ok=True)
    with held(path):
        with closing(_open(path)) as damaged, closing(_open(saved)) as new:
            migrate(new)
            new.execute("PRAGMA foreign_keys = ON")
            counts = {table: _save(damaged, new, table, order) for table, order in TABLES.items()}
        kept = _unused(path)
        os.replace(path, kept)
        for each in COMPANIONS:
            with suppress(FileNotFoundError):
                os.replace(f"{path}{each}", f"{kept}{each}")
        os.replace(saved, path)
    return counts, kept


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def _unused(path: Path) -> Path:
    names = (path.with_name(f"{path.name}.damaged-{number}") for number in range(1, 10_000))
    return next(each for each in names if not each.exists())


def _save(damaged: sqlite3.Connection, new: sqlite3.Connection, table: str, order: str) -> int:
    # An older version may have written it, with fewer columns.
    columns = [each for each in _columns(damaged, table) if each in _columns(new, table)]
    names, marks = ", ".join(columns), ", ".join("?" for _ in columns)
    new.execute("BEGIN")
    for row in _rows(damaged, table, names, order) if columns else ():
        # A row without what it refers to says nothing.
        with suppress(sqlite3.IntegrityError):
            new.execute(f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", row)
    new.execute("COMMIT")
    count: int = new.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return count


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    try:
        return [row[1] for row in connection.execute(f"PRAGMA table_info ({table})")]
    except sqlite3.DatabaseError:
        return []


def _rows(
    damaged: sqlite3.Connection, table: str, columns: str, order: str
) -> Iterator[tuple[object, ...]]:
    """Yield what can be read from the beginning up to the damage, and from the end down to it."""
    ascending = ", ".join(f"{each} ASC" for each in order.split(", "))
    for by in (ascending, ascending.replace("ASC", "DESC")):
        try:
            yield from damaged.execute(f"SELECT {columns} FROM {table} ORDER BY {by}")
        except sqlite3.DatabaseError:
            continue
        return
