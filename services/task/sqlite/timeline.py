"""How the journal's times go on when the wall clock was set, before or between two processes."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from services.task.sqlite.database import Transaction
from services.task.tasks import LIVE_STATES

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
MICROSECOND = timedelta(microseconds=1)
TOLERANCE = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Where the times that a process writes lie: so long after the start of the machine."""

    boot_id: str
    offset: timedelta


def boot_id() -> str:
    """Return what tells one start of the machine from another; empty where nothing does."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def continue_from(transaction: Transaction, now: Timeline) -> timedelta:
    """Have the times of live tasks lie on a timeline; return by how much they were shifted.

    They were written on that of an earlier process. If the machine has run on since then, and the
    wall clock was set, they are as old as before all the same.
    """
    row = transaction.execute("SELECT boot_id, clock_offset FROM timeline").fetchone()
    shift = timedelta()
    if row is not None and now.boot_id and row["boot_id"] == now.boot_id:
        shift = now.offset - row["clock_offset"] * MICROSECOND
    if abs(shift) <= TOLERANCE:
        shift = timedelta()
    else:
        micros = shift // MICROSECOND
        states = tuple(LIVE_STATES)
        transaction.execute(
            "UPDATE tasks SET create_time = create_time + ?, accept_time = accept_time + ?,"
            " start_time = start_time + ?, claim_by = claim_by + ?"
            f" WHERE state IN ({', '.join('?' for _ in states)})",
            (*[micros] * 4, *states),
        )
    transaction.execute("DELETE FROM timeline")
    transaction.execute(
        "INSERT INTO timeline (boot_id, clock_offset) VALUES (?, ?)",
        (now.boot_id, now.offset // MICROSECOND),
    )
    return shift
