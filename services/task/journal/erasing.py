"""What is removed, on request or with age: each call is one transaction, and a small step."""

from datetime import datetime
from functools import partial

from services.task.domain.audit import Action, deed
from services.task.journal import audit, erasure, people
from services.task.journal.database import Database, Transaction
from services.task.ports.erasure import Removal


class SqlErasure:
    """Removes from the journal's database, and has it forget what it removed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def erase(self, task_id: str) -> bool:
        """Remove a part of what was said in a task that has ended; return whether more is left."""
        done = deed(Action.CONVERSATION_ERASED, task_id)
        has_more = await self._database.transact(partial(erasure.erase, task_id=task_id, deed=done))
        if not has_more:
            await self._database.purge()
        return has_more

    async def erase_ended(self, *, before: datetime) -> bool:
        """Erase a part of the tasks that ended before a time; return whether more may be left."""
        return await self._database.transact(partial(erasure.erase_ended, before=before))

    async def remove_ended(self, *, before: datetime) -> bool:
        """Remove some erased tasks that ended before a time; return whether more may be left."""
        return await self._database.transact(partial(erasure.remove_ended, before=before))

    async def forget_user(self, user_id: str) -> Removal:
        """Remove a part of all that is kept of a user."""
        # Who it was is forgotten here as well.
        done = deed(Action.USER_ERASED, "")

        async def work(transaction: Transaction) -> Removal:
            removal = await people.forget(transaction, user_id=user_id)
            if not removal.has_more:
                await audit.note(transaction, done)
            return removal

        removal = await self._database.transact(work)
        if not removal.has_more:
            await self._database.purge()
        return removal
