"""The composition of the task service: from settings and a cloud to a server that is up."""

import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import grpc

from digitalhuman.access.v1 import access_pb2
from digitalhuman.access.v1.access_pb2_grpc import add_AccessServiceServicer_to_server
from digitalhuman.audit.v1 import audit_pb2
from digitalhuman.audit.v1.audit_pb2_grpc import add_AuditServiceServicer_to_server
from digitalhuman.task.v1 import task_pb2
from digitalhuman.task.v1.task_pb2_grpc import add_TaskServiceServicer_to_server
from digitalhuman.webhooks.v1 import webhooks_pb2
from digitalhuman.webhooks.v1.webhooks_pb2_grpc import add_WebhookServiceServicer_to_server
from services.runtime.callers.tenants import Tenants, read_tenants
from services.runtime.clock import SteadyClock, log_jumps
from services.runtime.serving.server import Serving, serving
from services.task.access.servicer import AccessServicer
from services.task.contract.audit_servicer import AuditServicer
from services.task.contract.servicer import Durations, TaskServicer
from services.task.delivery import delivery
from services.task.domain.tasks import Clock
from services.task.domain.usage import Budget, Period
from services.task.health import report_health
from services.task.jobs import Jobs
from services.task.lifecycle.heartbeat import kept_alive
from services.task.lifecycle.off_air import KnownAvatars, UnrecordedStops
from services.task.lifecycle.requests import LifeCycle
from services.task.lifecycle.starts import Starts
from services.task.lifecycle.state_machine import TaskStateMachine
from services.task.lifecycle.step import Pace, Steps
from services.task.patience import patient
from services.task.ports.cloud import Cloud
from services.task.ports.replicas import Replica
from services.task.ports.storage import Storage
from services.task.ports.tasks import Quota
from services.task.reconciliation.ends import Ends
from services.task.reconciliation.presence import Presence
from services.task.reconciliation.reconciler import Reconciler
from services.task.retention import Keeping, Retention
from services.task.settings import TaskSettings
from services.task.storage import OpenStorage, storage_of

SERVICES = tuple(
    service.full_name
    for file in (task_pb2, access_pb2, webhooks_pb2, audit_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
)
# Callers give StopTask ten seconds; it answers before that, whatever the cloud does.
STOP_PATIENCE_S = 6.0


@asynccontextmanager
async def running(
    settings: TaskSettings,
    cloud: Cloud,
    *,
    steady: SteadyClock | None = None,
    open_storage: OpenStorage = storage_of,
) -> AsyncIterator[Serving]:
    """Serve tasks while the block is open; what an earlier process left behind is fixed first.

    Raises DatabaseError, SettingsError for a faulty file of tenants, or OSError when the address is
    taken.
    """
    tenants = read_tenants(settings.tenants_file)
    steady = steady or SteadyClock()
    clock = _clock(steady)
    replica = Replica(replica_id=str(uuid.uuid4()), address="")
    async with (
        _patiently(open_storage(settings, clock, steady)) as storage,
        kept_alive(storage.journal.replicas, replica),
        delivery(settings, storage, clock, replica) as webhooks,
        Jobs() as jobs,
    ):
        tasks = _tasks(
            settings,
            tenants=tenants,
            storage=storage,
            cloud=cloud,
            clock=clock,
            replica=replica,
            jobs=jobs,
        )
        access = AccessServicer(
            credentials=storage.credentials, find_task=storage.journal.tasks.get, clock=clock
        )
        audit = AuditServicer(storage.audit)

        def register(server: grpc.aio.Server) -> None:
            add_TaskServiceServicer_to_server(tasks.servicer, server)
            add_AccessServiceServicer_to_server(access, server)
            add_WebhookServiceServicer_to_server(webhooks, server)
            add_AuditServiceServicer_to_server(audit, server)

        jobs.begin(log_jumps(steady), name="clock")
        tasks.begin(jobs, sweep_interval_s=settings.sweep_interval_s)
        async with serving(settings.serving_options, SERVICES, register) as server:
            health = jobs.begin(report_health(server, storage.probe), name="health")
            try:
                yield server
            finally:
                health.cancel()
                storage.notifier.drain()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tasks:
    """Who answers calls about tasks, and what looks after them without being called."""

    servicer: TaskServicer
    reconciler: Reconciler
    ends: Ends
    presence: Presence
    retention: Retention

    def begin(self, jobs: Jobs, *, sweep_interval_s: float) -> None:
        jobs.begin(self.reconciler.run(sweep_interval_s), name="reconciler")
        jobs.begin(self.ends.run(), name="ends")
        jobs.begin(self.presence.run(), name="presence")
        jobs.begin(self.retention.run(), name="retention")


def _tasks(
    settings: TaskSettings,
    *,
    tenants: Tenants,
    storage: Storage,
    cloud: Cloud,
    clock: Clock,
    replica: Replica,
    jobs: Jobs,
) -> _Tasks:
    journal, pace, quota = storage.journal, _pace(settings), _quota(settings, tenants)
    avatars = KnownAvatars()
    state_machine = TaskStateMachine(
        replica_id=replica.replica_id,
        steps=Steps(
            tasks=journal.tasks,
            conversations=journal.conversations,
            cloud=cloud,
            starts=Starts(cloud, list_s=pace.list_s),
            clock=clock,
            pace=pace,
            on_change=avatars.note,
        ),
        tasks=journal.tasks,
        leases=journal.leases,
        logs=journal.logs,
        notifier=storage.notifier,
        jobs=jobs,
    )
    lifecycle = LifeCycle(
        tasks=journal.tasks,
        state_machine=state_machine,
        jobs=jobs,
        quota=quota,
        unrecorded=UnrecordedStops(
            tasks=journal.tasks,
            cloud=cloud,
            state_machine=state_machine,
            avatars=avatars,
            jobs=jobs,
        ),
        stop_patience_s=STOP_PATIENCE_S,
    )
    reconciler = Reconciler(
        replica_id=replica.replica_id,
        replicas=journal.replicas,
        leases=journal.leases,
        tasks=journal.tasks,
        search=journal.search,
        conversations=journal.conversations,
        cloud=cloud,
        state_machine=state_machine,
        clock=clock,
        avatars=avatars,
        owns_account=settings.owns_account,
    )
    ends = Ends(
        replica_id=replica.replica_id,
        replicas=journal.replicas,
        search=journal.search,
        clients=journal.clients,
        usage=journal.usage,
        end=lifecycle.end,
        budget=quota.budget,
        tenants=tenants,
        clock=clock,
    )
    presence = Presence(journal.clients, clock)
    return _Tasks(
        servicer=TaskServicer(
            journal=journal,
            lifecycle=lifecycle,
            notifier=storage.notifier,
            clock=clock,
            durations=_durations(settings),
            tenants=tenants,
            presence=presence,
            ends=ends,
            reconciler=reconciler,
            jobs=jobs,
        ),
        reconciler=reconciler,
        ends=ends,
        presence=presence,
        retention=Retention(
            replica_id=replica.replica_id,
            replicas=journal.replicas,
            erasure=journal.erasure,
            webhooks=storage.webhooks,
            audit=storage.audit,
            credentials=storage.credentials,
            clock=clock,
            keeping=_keeping(settings),
        ),
    )


@asynccontextmanager
async def _patiently(opening: AbstractAsyncContextManager[Storage]) -> AsyncIterator[Storage]:
    """Open a storage whose journal is asked again while its database does not answer."""
    async with opening as storage:
        yield replace(storage, journal=storage.journal.wrapped(patient))


def _clock(steady: SteadyClock) -> Clock:
    return lambda: datetime.fromtimestamp(steady.time(), UTC)


def _pace(settings: TaskSettings) -> Pace:
    return Pace(
        start_timeout_s=settings.start_timeout_s,
        settle_s=settings.settle_s,
        poll_s=settings.poll_s,
    )


def _quota(settings: TaskSettings, tenants: Tenants) -> Quota:
    return Quota(
        running=settings.max_running,
        running_per_user=settings.max_running_per_user,
        budget=_budget(settings),
        tenants=tenants,
    )


def _budget(settings: TaskSettings) -> Budget | None:
    if not settings.budget_user_seconds:
        return None
    period = Period(settings.budget_period)
    return Budget(user_seconds=settings.budget_user_seconds, period=period)


def _keeping(settings: TaskSettings) -> Keeping:
    return Keeping(
        conversations=_days(settings.keep_conversation_days),
        tasks=_days(settings.keep_days),
        audit=_days(settings.keep_audit_days),
    )


def _days(number: int) -> timedelta | None:
    return timedelta(days=number) if number else None


def _durations(settings: TaskSettings) -> Durations:
    return Durations(
        usual=timedelta(seconds=settings.max_duration_s),
        usual_idle=timedelta(seconds=settings.max_idle_duration_s),
        longest=timedelta(seconds=settings.longest_duration_s),
    )
