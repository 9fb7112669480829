"""The journal: all that is kept of tasks."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from services.task.ports.clients import Clients
from services.task.ports.conversations import Conversations
from services.task.ports.erasure import Erasure
from services.task.ports.leases import Leases
from services.task.ports.logs import TaskLogs
from services.task.ports.replicas import Replicas
from services.task.ports.search import TaskSearch
from services.task.ports.tasks import Tasks
from services.task.ports.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """Keeps tasks, their events and conversations, and the requests that were answered.

    Every method of a part is one transaction: what it returns is durable, and if it raises, nothing
    changed. (A report by days only reads, one day after the other.) A caller that is cancelled
    leaves its transaction either complete or not begun. A task that does not exist is a
    ServiceError with TASK_NOT_FOUND. When the database is away, every method raises one with
    DEPENDENCY_UNAVAILABLE, or with JOURNAL_UNAVAILABLE when its disk or file is at fault; only then
    may something have changed nevertheless.

    Methods that take the id of a task or a filter work for the `current_caller`: what that does not
    see does not exist. Those that say `of all tenants` are for sweeps, which then act for the
    tenant of each task that they find.

    Whatever adds to a task's log (`add`, `change`, `append`) wakes those who watch the task, once
    the addition can be read and not before; a transaction that raised wakes nobody.
    """

    tasks: Tasks
    search: TaskSearch
    logs: TaskLogs
    conversations: Conversations
    clients: Clients
    erasure: Erasure
    usage: Usage
    replicas: Replicas
    leases: Leases

    def wrapped(self, wrap: Callable[[Any], Any]) -> "Journal":
        """Return a journal whose parts are what `wrap` makes of these."""
        return Journal(**{part.name: wrap(getattr(self, part.name)) for part in fields(self)})
