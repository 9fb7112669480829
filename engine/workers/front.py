"""The front: serves the API for all workers, which callers never see."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from engine.app import Engine, engine_at, identity_of, receiver_of, verifier_of
from engine.clock import Clock, SystemClock
from engine.contract.faults import (
    AnyFault,
    FaultList,
    Faults,
    InitFailure,
    SlowInit,
    SocketDrop,
    Stall,
)
from engine.contract.replays import used_signatures
from engine.routes.api import Api, RateLimit
from engine.routes.application import HealthPage, RouteGroup, make_application
from engine.routes.debug import DebugAccess, FaultSwitches
from engine.routes.door import ThrottledDoor
from engine.serving.http import serving_http
from engine.settings import EngineSettings
from engine.tasks.callbacks import sending_callbacks
from engine.workers.actions import RoutedActions
from engine.workers.pool import Pool, keeping_workers
from engine.workers.proxy import RecordingProxy, WhepProxy
from engine.workers.registry import WorkerRegistry

OF_WORKERS = SlowInit | InitFailure | SocketDrop | Stall


class SharedFaults:
    """Faults of calls and callbacks apply in the front, those of tasks and drives in workers."""

    def __init__(self, own: Faults, pool: Pool) -> None:
        self._own = own
        self._pool = pool

    async def replace(self, faults: FaultList) -> None:
        """Switch on these faults and no others, everywhere."""
        theirs: list[AnyFault] = [each for each in faults.faults if isinstance(each, OF_WORKERS)]
        own: list[AnyFault] = [each for each in faults.faults if not isinstance(each, OF_WORKERS)]
        await self._own.replace(FaultList(faults=own))
        await self._pool.switch(FaultList(faults=theirs))

    def current(self) -> FaultList:
        """Return the faults that apply; counts of the workers' faults are as they were set."""
        return FaultList(faults=[*self._own.current().faults, *self._pool.faults.faults])


class PoolHealth:
    """The figures of all workers, summed up."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def figures(self) -> Mapping[str, Any]:
        """The figures of this moment, by name, and those of each worker."""
        workers = [worker.health for worker in self._pool.workers]
        sums: Counter[str] = Counter()
        for figures in workers:
            sums.update({name: figure for name, figure in figures.items() if type(figure) is int})
        del sums["pid"]
        return {
            **sums,
            "late_share": max((each.get("late_share", 0.0) for each in workers), default=0.0),
            "has_room": any(each.get("has_room", False) for each in workers),
            "workers": workers,
        }


@asynccontextmanager
async def fronting(
    settings: EngineSettings, *, clock: Clock | None = None
) -> AsyncIterator[Engine]:
    """Serve with workers until the end of the context; then end all tasks and report it."""
    clock = clock or SystemClock()
    faults = Faults()
    registry = WorkerRegistry(clock=clock, max_tasks=settings.max_tasks)
    async with AsyncExitStack() as stack:
        used = stack.enter_context(used_signatures(settings.signatures))
        callbacks = await stack.enter_async_context(
            sending_callbacks(receiver=receiver_of(settings), clock=clock, faults=faults)
        )
        pool = Pool(
            settings=settings,
            identity=identity_of(settings),
            registry=registry,
            notices=callbacks,
            clock=clock,
        )
        await stack.enter_async_context(keeping_workers(pool, settings.workers))
        health = PoolHealth(pool)
        application = make_application(
            Api(
                verifier=verifier_of(settings, used),
                handlers=RoutedActions(registry=registry, pool=pool).handlers(),
                faults=faults,
                limit=RateLimit(clock),
                clock=clock,
            ),
            WhepProxy(registry=registry, pool=pool, door=ThrottledDoor(clock)),
            HealthPage(health),
            *_debugging(settings, SharedFaults(faults, pool), registry, pool),
        )
        port = await stack.enter_async_context(
            serving_http(application, host=settings.host, port=settings.port)
        )
        yield engine_at(
            settings,
            port=port,
            drive_port=pool.workers[0].drive_port,
            health=health.figures,
        )


def _debugging(
    settings: EngineSettings, faults: SharedFaults, registry: WorkerRegistry, pool: Pool
) -> Sequence[RouteGroup]:
    if settings.debug_token is None:
        return ()
    access = DebugAccess(settings.debug_token.get_secret_value())
    return (
        RecordingProxy(registry=registry, pool=pool, access=access),
        FaultSwitches(faults, access),
    )
