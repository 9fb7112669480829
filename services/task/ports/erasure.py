"""What is removed, because somebody asks or because it is old."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """How many tasks a step has removed, and whether more is left."""

    tasks: int
    has_more: bool


class Erasure(Protocol):
    """Removes what was said, tasks and users, each call a part of it."""

    async def erase(self, task_id: str) -> bool:
        """Remove a part of what was said in a task that has ended; return whether more is left.

        From the first part on, nothing can be added. Raises ServiceError with TASK_NOT_ENDED.
        """

    async def erase_ended(self, *, before: datetime) -> bool:
        """Erase a part of the tasks, of all tenants, that ended before a time.

        Return whether more may be left.
        """

    async def remove_ended(self, *, before: datetime) -> bool:
        """Remove some erased tasks, of all tenants, that ended before a time.

        Return whether more may be left. What they cost stays part of `usage` by user.
        """

    async def forget_user(self, user_id: str) -> Removal:
        """Remove a part of all that is kept of a user.

        What the user's tasks cost becomes that of tasks of nobody. Raises ServiceError with
        TASK_NOT_ENDED while one of them runs.
        """
