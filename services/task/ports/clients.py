"""Who is there for a task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.runtime.callers.caller import Caller
from services.task.domain.tasks import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Somebody who is there for a task, or says so."""

    task_id: str
    caller: Caller


class Clients(Protocol):
    """Keeps when the clients of tasks were there."""

    async def note_seen(self, seen: Mapping[Client, datetime]) -> None:
        """Record when the clients of tasks were there, unless they had been a moment before.

        Tasks that may do without a client, are over or do not exist for it are left alone.
        """

    async def absent(self, *, noted_since: datetime) -> Sequence[Task]:
        """Return the tasks of all tenants whose clients are gone for too long.

        See Task.is_absent.
        """
