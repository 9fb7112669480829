"""Keeps the journal's times consistent when the wall clock is set between two processes."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from services.task.journal.database import Transaction
from services.task.journal.tables import IS_LIVE

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
MICROSECOND = timedelta(microseconds=1)
TOLERANCE = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """How the times that a process writes relate to the boot of the machine."""

    boot_id: str
    offset: timedelta


def boot_id() -> str:
    """Return an id of the machine's boot; empty where there is none."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


async def continue_from(transaction: Transaction, now: Timeline) -> timedelta:
    """Move the times of live tasks onto a timeline; return how far they were shifted.

    An earlier process wrote them on its own. If the wall clock was set since then without a reboot,
    the shift keeps each task as old as it really is.
    """
    row = await transaction.fetch_one("SELECT boot_id, clock_offset FROM timeline")
    shift = timedelta()
    if row is not None and now.boot_id and row["boot_id"] == now.boot_id:
        shift = now.offset - row["clock_offset"] * MICROSECOND
    if abs(shift) <= TOLERANCE:
        shift = timedelta()
    else:
        await transaction.execute(
            "UPDATE tasks SET create_time = create_time + $1, accept_time = accept_time + $1,"
            " start_time = start_time + $1, claim_by = claim_by + $1, seen_time = seen_time + $1"
            f" WHERE {IS_LIVE}",
            shift // MICROSECOND,
        )
    await transaction.execute("DELETE FROM timeline")
    await transaction.execute(
        "INSERT INTO timeline (boot_id, clock_offset) VALUES ($1, $2)",
        now.boot_id,
        now.offset // MICROSECOND,
    )
    return shift
