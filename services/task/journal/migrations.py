"""The steps that lead to a schema, and which programs may use what they lead to."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.task.journal.database import DatabaseError


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step; a released one never changes.

    An additive step leaves what older programs read and write as it was, so that they go on beside
    newer ones during a rolling update: it adds nullable columns or such with a default, tables, and
    indexes. A program refuses a database with steps that it does not know unless all are additive.
    """

    script: str
    is_additive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaVersion:
    """Where a database stands: its last step, and the oldest program that may use it.

    Programs count by the number of steps that they know.
    """

    version: int
    oldest_program: int


def pending(migrations: Sequence[Migration], at: SchemaVersion) -> list[tuple[int, Migration]]:
    """Return the numbered steps that a database lacks.

    Raises DatabaseError if this program is too old for it.
    """
    if at.oldest_program > len(migrations):
        raise DatabaseError(
            f"the database has schema version {at.version}, which needs a program from version"
            f" {at.oldest_program}; this one's is {len(migrations)}"
        )
    return list(enumerate(migrations, start=1))[at.version :]


def oldest_program(number: int, migration: Migration) -> int:
    """Return what a step demands of programs: 0 for nothing."""
    return 0 if migration.is_additive else number
