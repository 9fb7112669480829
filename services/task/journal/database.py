"""What the journal needs of a database: transactions that are functions, on either backend."""

from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

from services.runtime.operator_error import OperatorError
from services.task.journal.rows import Row, SqlValue

T = TypeVar("T")


class DatabaseError(OperatorError):
    """The database cannot be opened; the message says why, without secrets."""


class Transaction(Protocol):
    """What a function may do within one transaction.

    SQL is what SQLite and PostgreSQL both understand; parameters are $1, $2 and so on.
    """

    async def fetch(self, sql: str, *parameters: SqlValue) -> Sequence[Row]:
        """Return all rows of a query."""

    async def fetch_one(self, sql: str, *parameters: SqlValue) -> Row | None:
        """Return the first row of a query, None if there is none."""

    async def fetch_for_update(self, sql: str, *parameters: SqlValue) -> Sequence[Row]:
        """Return all rows of a query, in their latest version, which nobody else changes until the
        transaction ends."""

    async def fetch_unlocked(self, sql: str, *parameters: SqlValue) -> Sequence[Row]:
        """Return the rows of a query as for update, but leave out those that somebody else has."""

    async def execute(self, sql: str, *parameters: SqlValue) -> None:
        """Run one statement."""

    async def execute_many(self, sql: str, rows: Iterable[Sequence[SqlValue]]) -> None:
        """Run one statement once per row of parameters."""

    async def lock(self, name: str) -> None:
        """Wait until no other transaction holds this lock, and hold it until the end."""

    def announce(self, task_id: str) -> None:
        """Wake the task's watchers, in all processes, once this transaction is durable."""


Work: TypeAlias = Callable[[Transaction], Coroutine[Any, Any, T]]
"""A transaction. It awaits nothing but the transaction that it gets, and may be run again from its
beginning if its first run changed nothing. It runs for the caller of whoever began it."""


class Database(Protocol):
    """Runs transactions.

    One is all or nothing, whatever happens to its caller: if that is cancelled, it is either
    complete, with watchers woken, or did nothing. Raises ServiceError with DEPENDENCY_UNAVAILABLE
    when the database does not answer; only then may the transaction have happened nevertheless.
    """

    async def transact(self, work: Work[T]) -> T:
        """Run `work` in a transaction that is durable on return and rolled back if it raises."""

    async def read(self, work: Work[T]) -> T:
        """Run `work`, which only reads, and sees one state of the database throughout."""

    async def purge(self) -> None:
        """Leave no copy in files of what was deleted, as far as that can be had at once."""
