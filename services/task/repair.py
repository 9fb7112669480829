"""`python -m services.task.repair check|recover`: looks after the journal's SQLite file.

The task service must be stopped. The exit code is 0 if all is well, or again.
"""

import sys
from pathlib import Path

from services.runtime.settings.environment import SettingsError, load
from services.task.journal.database import DatabaseError
from services.task.settings import DatabaseSettings
from services.task.sqlite.recovery import faults, recover

AT_FAULT = 1
WRONG_CALL = 2


def main() -> int:
    """Do what the argument says, and return the exit code."""
    try:
        settings = load(DatabaseSettings)
        if settings.database_url:
            raise DatabaseError("TASK_DATABASE names no file: use the tools of PostgreSQL")
        path = Path(settings.database.get_secret_value())
        match sys.argv[1:]:
            case ["check"]:
                return _check(path)
            case ["recover"]:
                return _recover(path)
            case _:
                print("usage: python -m services.task.repair check|recover", file=sys.stderr)
                return WRONG_CALL
    except (DatabaseError, SettingsError) as error:
        print(error, file=sys.stderr)
        return AT_FAULT


def _check(path: Path) -> int:
    found = faults(path)
    for fault in found:
        print(f"{path}: {fault}")
    if not found:
        print(f"{path}: fine")
    return AT_FAULT if found else 0


def _recover(path: Path) -> int:
    counts, kept = recover(path)
    saved = ", ".join(f"{count} {table}" for table, count in counts.items())
    print(f"{path}: written anew with {saved}; the old file is kept as {kept.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
