"""A damaged file is told from a sound one, and what can be read of it is saved."""

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from services.task.journal.database import DatabaseError
from services.task.sqlite.recovery import faults, recover
from services.task.sqlite.schema import migrate
from tests.support.compose import ROOT

TASKS = 200
EVENTS = 40
PAGE = 4096
LEAF = b"\x0a"
"""How a page begins that has rows of a table with a key of its own."""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "tasks.sqlite3"
    fill(path)
    return path


def fill(path: Path) -> None:
    """Make a journal of many tasks with many events."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection)
        connection.execute("BEGIN")
        for number in range(TASKS):
            connection.execute(
                "INSERT INTO tasks (task_id, state, room_id, stream_id, digital_human_id,"
                " persona_id, language_code, user_id, background_color, avatar_id, max_duration,"
                " max_idle_duration, create_time) VALUES (?, 'STREAMING', 'r', ?, '', '', '', '',"
                " '', ?, 1, 1, 1)",
                (f"task_{number:04}", f"s{number}", f"a{number}"),
            )
            connection.executemany(
                "INSERT INTO events (task_id, sequence, time, content) VALUES (?, ?, 1, ?)",
                [(f"task_{number:04}", each, b"content" * 8) for each in range(1, EVENTS)],
            )
        connection.execute("COMMIT")


def root_of(path: Path, table: str) -> int:
    """Return the offset of a table's first page."""
    with closing(sqlite3.connect(path)) as connection:
        sql = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        page: int = connection.execute(sql, (table,)).fetchone()[0]
    return (page - 1) * PAGE


def middle_leaf(path: Path) -> int:
    """Return the offset of two pages of rows in the middle of the file, where the events are."""
    content = path.read_bytes()
    kinds = content[::PAGE]
    return kinds.index(2 * LEAF, len(kinds) // 2) * PAGE


def overwrite(path: Path, at: int, size: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"\xa5" * size)


def test_a_sound_file_is_fine(database: Path) -> None:
    assert faults(database) == []
    counts, kept = recover(database)
    assert (counts["tasks"], counts["events"]) == (TASKS, TASKS * (EVENTS - 1))
    assert kept.exists()
    assert stat.S_IMODE(database.stat().st_mode) == 0o600
    assert faults(database) == []


def test_rows_before_and_after_the_damage_are_saved(database: Path) -> None:
    overwrite(database, middle_leaf(database), 2 * PAGE)
    assert faults(database)
    counts, kept = recover(database)
    assert counts["tasks"] == TASKS
    assert TASKS * (EVENTS - 1) * 0.9 < counts["events"] < TASKS * (EVENTS - 1)
    assert faults(database) == []
    assert faults(kept)


def test_one_lost_table_does_not_cost_the_others(database: Path) -> None:
    overwrite(database, root_of(database, "events"), PAGE)
    counts, _ = recover(database)
    assert (counts["tasks"], counts["events"]) == (TASKS, 0)


def test_of_a_file_that_is_no_database_nothing_is_saved(database: Path) -> None:
    database.write_text("no database " * 1_000)
    assert faults(database)
    counts, kept = recover(database)
    assert set(counts.values()) == {0}
    assert kept.read_text().startswith("no database")
    assert faults(database) == []


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    for look in (faults, recover):
        with pytest.raises(DatabaseError, match="no such file"):
            look(tmp_path / "nothing.sqlite3")
    assert not (tmp_path / "nothing.sqlite3").exists()


def repair(what: str, database: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        (sys.executable, "-m", "services.task.repair", what),
        check=False,
        capture_output=True,
        text=True,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "gen")]),
            "TASK_DATABASE": database,
        },
    )


def test_the_command_says_what_it_found_and_did(database: Path) -> None:
    overwrite(database, database.stat().st_size // 2 // PAGE * PAGE, PAGE)
    checked = repair("check", str(database))
    assert (checked.returncode, "fine" in checked.stdout) == (1, False)
    recovered = repair("recover", str(database))
    assert (recovered.returncode, f"{TASKS} tasks" in recovered.stdout) == (0, True)
    assert repair("check", str(database)).stdout.endswith("fine\n")


def test_a_database_that_is_no_file_is_left_to_its_tools() -> None:
    refused = repair("check", "postgresql://host/name")
    assert (refused.returncode, "PostgreSQL" in refused.stderr) == (1, True)
