"""The journal in one SQL database."""

from services.task.domain.tasks import Clock
from services.task.jobs import Jobs
from services.task.journal.clients import SqlClients
from services.task.journal.conversations import SqlConversations
from services.task.journal.database import Database
from services.task.journal.erasing import SqlErasure
from services.task.journal.leases import SqlLeases
from services.task.journal.logs import SqlTaskLogs
from services.task.journal.replicas import SqlReplicas
from services.task.journal.reporting import SqlUsage
from services.task.journal.search import SqlTaskSearch
from services.task.journal.tasks import SqlTasks
from services.task.ports.journal import Journal


def sql_journal(database: Database, clock: Clock, jobs: Jobs) -> Journal:
    """Return the journal that keeps everything in a database.

    Its parts take locks in this order, so that no two transactions wait for each other: that of
    additions, that of a request, the rows of tasks by their ids.
    """
    return Journal(
        tasks=SqlTasks(database, clock),
        search=SqlTaskSearch(database),
        logs=SqlTaskLogs(database),
        conversations=SqlConversations(database, clock, jobs),
        clients=SqlClients(database, clock),
        erasure=SqlErasure(database),
        usage=SqlUsage(database, clock),
        replicas=SqlReplicas(database),
        leases=SqlLeases(database),
    )
