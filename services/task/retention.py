"""Removes what was said, tasks and what is recorded of them, once they are too old to be kept."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from services.runtime.failures.errors import ServiceError
from services.task.domain.audit import AuditLog
from services.task.domain.credentials import Credentials
from services.task.domain.tasks import Clock
from services.task.ports.erasure import Erasure
from services.task.ports.replicas import Replicas
from services.task.webhooks.ports import WebhookStore

log = structlog.get_logger(__name__)

RETENTION = "retention"
"""The duty of removing, which one replica has."""
EVERY_S = 60.0
PAUSE_S = 0.05
"""Between two steps, so that others find the database free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How long after its end what was said in a task is kept, and the task; None: for ever.

    `audit` is how long entries of the audit log are kept.
    """

    conversations: timedelta | None = None
    tasks: timedelta | None = None
    audit: timedelta | None = None


class Retention:
    """Removes in small steps what is too old."""

    def __init__(
        self,
        *,
        replica_id: str,
        replicas: Replicas,
        erasure: Erasure,
        webhooks: WebhookStore,
        audit: AuditLog,
        credentials: Credentials,
        clock: Clock,
        keeping: Keeping,
    ) -> None:
        self._replica_id = replica_id
        self._replicas = replicas
        self._erasure = erasure
        self._webhooks = webhooks
        self._audit = audit
        self._credentials = credentials
        self._clock = clock
        self._keeping = keeping

    async def run(self) -> None:
        """Remove now and then, until cancelled."""
        # Nobody shall be surprised: what is removed does not come back.
        log.info(
            "what is older is removed",
            conversation_days=_days(self._keeping.conversations or self._keeping.tasks),
            task_days=_days(self._keeping.tasks),
        )
        while True:
            try:
                if await self._replicas.lead(RETENTION, self._replica_id):
                    await self.remove()
            except ServiceError as error:
                log.warning("old tasks not removed", reason=error.reason.value)
            except Exception:
                log.exception("removing old tasks failed unexpectedly")
            await asyncio.sleep(EVERY_S)

    async def remove(self) -> None:
        """Remove all that is too old."""
        await self._credentials.forget_expired()
        now = self._clock()
        kept = [each for each in (self._keeping.conversations, self._keeping.tasks) if each]
        if kept:
            before = now - min(kept)
            await _repeat(lambda: self._erasure.erase_ended(before=before))
        if self._keeping.tasks:
            oldest: datetime = now - self._keeping.tasks
            await _repeat(lambda: self._erasure.remove_ended(before=oldest))
        if self._keeping.audit:
            await self._audit.forget(before=now - self._keeping.audit)
        await self._webhooks.clean()


def _days(kept: timedelta | None) -> int | None:
    return None if kept is None else kept.days


async def _repeat(step: Callable[[], Awaitable[bool]]) -> None:
    """Take a step as long as more may be left."""
    has_more = True
    while has_more:
        has_more = await step()
        await asyncio.sleep(PAUSE_S)
