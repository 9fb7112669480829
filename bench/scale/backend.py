"""The way of a create, a start and a stop through the services, by the product's own deadlines."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.scale.cloud import Account, Avatar
from bench.scale.simulation import Signal, Simulation
from bench.scale.starts import REPLY_S, Starts
from bench.scale.visits import Visit
from gateway.access.rate_limit import RateLimit
from gateway.settings import GatewaySettings
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.runtime.failures.retry import RetrySchedule
from services.task.cloud import START_TIMEOUT_S, TIMEOUT_S
from services.task.lifecycle.requests import RETURN_APART_S
from services.task.ports.tasks import LONGEST_WAIT_S, SHORTEST_WAIT_S
from services.task.settings import TaskSettings

CREATE_TIMEOUT_S: float = GatewaySettings.model_fields["create_timeout_s"].default
REQUESTS_PER_SECOND: float = GatewaySettings.model_fields["requests_per_second"].default
SWEEP_INTERVAL_S: float = TaskSettings.model_fields["sweep_interval_s"].default


@dataclass(slots=True, kw_only=True, eq=False)
class Task:
    """A task whose avatar the cloud has accepted."""

    account: Account
    avatar: Avatar
    start_known: Signal
    """It is on air, or has failed."""
    is_over: bool = False


class Backend:
    """Gateway, task and avatar service."""

    def __init__(
        self,
        simulation: Simulation,
        *,
        account_of: Callable[[Visit], Account],
        starts: Starts,
        max_running: int,
    ) -> None:
        self._simulation = simulation
        self._account_of = account_of
        self._starts = starts
        self._max_running = max_running
        self._running = 0
        self._returns = RetrySchedule(
            apart_s=RETURN_APART_S,
            longest_s=LONGEST_WAIT_S,
            clock=simulation.now,
            uniform=simulation.dice.uniform,
        )
        self._callers = RateLimit(REQUESTS_PER_SECOND, clock=simulation.now)

    async def create(self, visit: Visit) -> Task:
        """Answer create-task once the avatar is on air. Raises ServiceError."""
        self._callers.take(visit.caller)
        task = await self._order(self._account_of(visit))
        if not await task.start_known.wait_for(CREATE_TIMEOUT_S):
            self._simulation.begin(self._abandon(task))
            raise ServiceError(Reason.DEADLINE_EXCEEDED, "The avatar is not on air in time.")
        if task.is_over:
            raise ServiceError(Reason.AVATAR_START_FAILED, "The avatar did not come on air.")
        return task

    async def stop(self, task: Task) -> float:
        """Stop a task; return the seconds until the cloud had been told."""
        asked_at = self._simulation.now()
        task.is_over = True
        while True:
            try:
                await task.account.stop(task.avatar, within_s=TIMEOUT_S - REPLY_S)
            except ServiceError:
                await self._simulation.sleep(SWEEP_INTERVAL_S)
            else:
                break
        self._running -= 1
        return self._simulation.now() - asked_at

    async def _order(self, account: Account) -> Task:
        if self._running >= self._max_running:
            raise ServiceError(
                Reason.CAPACITY_EXCEEDED,
                "No more tasks are allowed.",
                retry_after_s=self._returns.next_s(soonest_s=SHORTEST_WAIT_S),
            )
        self._running += 1
        try:
            avatar = await account.create(within_s=START_TIMEOUT_S - REPLY_S)
        except ServiceError:
            self._running -= 1
            raise
        task = Task(account=account, avatar=avatar, start_known=self._simulation.signal())
        self._simulation.begin(self._follow_start(task))
        return task

    async def _follow_start(self, task: Task) -> None:
        is_on_air = await self._starts.seen(task.account, task.avatar)
        if not is_on_air and not task.is_over:
            await self.stop(task)
        task.start_known.give()

    async def _abandon(self, task: Task) -> None:
        await self.stop(task)
