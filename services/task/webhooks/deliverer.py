"""Delivers events to webhooks: each at its own pace, so that a slow one delays no other."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog

from services.runtime.failures.errors import ServiceError
from services.task.jobs import Jobs
from services.task.webhooks.bodies import body_of
from services.task.webhooks.courier import Courier
from services.task.webhooks.ports import WebhookStore
from services.task.webhooks.telemetry import ATTEMPTS, AttemptOutcome
from services.task.webhooks.webhook import Delivery, Failed, Receiver

log = structlog.get_logger(__name__)

AT_ONCE = 4
"""Messages on their way to one webhook, each of another task."""
MOST_RECEIVERS = 256
"""Webhooks that one replica serves at once."""
POLL_S = 1.0
"""Between looks for what is to be tried again, or was left by a replica that is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to wait after a failure: each time twice as long, give or take a fifth."""

    first: timedelta = timedelta(seconds=5)
    longest: timedelta = timedelta(hours=1)

    def after(self, attempts: int) -> timedelta:
        """Return the pause after a number of failures, from 1."""
        doubled: timedelta = self.first * 2 ** min(attempts - 1, 20)
        return min(self.longest, doubled) * random.uniform(0.8, 1.2)


class Deliverer:
    """Delivers what the store holds, together with the other replicas."""

    def __init__(
        self,
        *,
        replica_id: str,
        store: WebhookStore,
        courier: Courier,
        jobs: Jobs,
        backoff: Backoff = Backoff(),
    ) -> None:
        self._replica_id = replica_id
        self._store = store
        self._courier = courier
        self._jobs = jobs
        self._backoff = backoff
        self._busy: set[str] = set()

    async def run(self, news: Callable[[], Awaitable[None]]) -> None:
        """Deliver whenever there are `news`, and now and then, until cancelled."""
        while True:
            try:
                await self._begin()
            except ServiceError as error:
                log.warning("webhooks not looked at", reason=error.reason.value)
            except Exception:
                log.exception("looking at webhooks failed unexpectedly")
            try:
                await asyncio.wait_for(news(), POLL_S)
            except TimeoutError:
                continue

    async def _begin(self) -> None:
        """Begin to serve the webhooks that have something due."""
        due = await self._store.due(self._replica_id)
        free = [each for each in due if each not in self._busy]
        for webhook_id in free[: MOST_RECEIVERS - len(self._busy)]:
            self._busy.add(webhook_id)
            serving = self._jobs.begin(self._serve(webhook_id), name=f"webhook {webhook_id}")
            serving.add_done_callback(partial(self._forget, webhook_id))

    def _forget(self, webhook_id: str, _: object) -> None:
        self._busy.discard(webhook_id)

    async def _serve(self, webhook_id: str) -> None:
        """Deliver everything that is due to a webhook."""
        sending: dict[asyncio.Task[str], Delivery] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                for receiver, delivery in await self._next(webhook_id, sending.values()):
                    sending[group.create_task(self._send(receiver, delivery))] = delivery
                if not sending:
                    return
                done, _ = await asyncio.wait(
                    sending, timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED
                )
                await self._settle([(sending.pop(each), each.result()) for each in done])

    async def _next(
        self, webhook_id: str, sending: Collection[Delivery]
    ) -> Sequence[tuple[Receiver, Delivery]]:
        """Take as much as may be on its way besides what is."""
        if len(sending) >= AT_ONCE:
            return ()
        taken = await self._store.take(
            webhook_id,
            self._replica_id,
            limit=AT_ONCE - len(sending),
            busy=[each.event_id for each in sending],
        )
        if taken is None:
            return ()
        receiver, deliveries = taken
        return [(receiver, each) for each in deliveries]

    async def _send(self, receiver: Receiver, delivery: Delivery) -> str:
        try:
            body = body_of(delivery, receiver.webhook)
            return await self._courier.send(receiver, event_id=delivery.event_id, body=body)
        except Exception:
            # One event that cannot be delivered must not keep the others back.
            log.exception("webhook failed unexpectedly", event_id=delivery.event_id)
            return "it could not be sent"

    async def _settle(self, attempts: Sequence[tuple[Delivery, str]]) -> None:
        if not attempts:
            return
        delivered = [delivery for delivery, failure in attempts if not failure]
        failed = [
            Failed(
                delivery=delivery,
                failure=failure,
                pause=self._backoff.after(delivery.attempts + 1),
            )
            for delivery, failure in attempts
            if failure
        ]
        given_up = await self._store.settle(self._replica_id, delivered=delivered, failed=failed)
        ATTEMPTS.labels(outcome=AttemptOutcome.DELIVERED.value).inc(len(delivered))
        ATTEMPTS.labels(outcome=AttemptOutcome.FAILED.value).inc(len(failed) - len(given_up))
        ATTEMPTS.labels(outcome=AttemptOutcome.GIVEN_UP.value).inc(len(given_up))
        for each in given_up:
            log.warning(
                "webhook given up",
                webhook_id=each.delivery.webhook_id,
                event_id=each.delivery.event_id,
                failure=each.failure,
            )
