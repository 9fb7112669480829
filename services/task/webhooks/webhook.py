"""A tenant's webhooks, the keys that sign for them, and what each is to be told."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from services.task.domain.conversation import Turn
from services.task.domain.provider_totals import ProviderTotals
from services.task.domain.tasks import Task

MOST_WEBHOOKS = 20
"""Of one tenant."""
GIVE_UP_AFTER = timedelta(hours=24)
"""How long a delivery is tried."""
NEARLY = 0.8
"""The share of a quota whose use is told."""
DEAD_LETTERS_KEPT = timedelta(days=30)


class EventType(StrEnum):
    """The kinds of events; part of the contract, so that none is ever renamed."""

    TASK_ON_AIR = "task.on_air"
    TASK_ENDED = "task.ended"
    TURN_FINISHED = "turn.finished"
    TURN_INTERRUPTED = "turn.interrupted"
    TURN_FAILED = "turn.failed"
    PROVIDER_FAILED = "provider.failed"
    QUOTA_NEAR = "quota.near"


TEST = "webhook.test"
"""The type of what is sent to try a webhook out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where a tenant is notified of what happens; without `event_types`, of everything."""

    webhook_id: str
    tenant_id: str
    url: str
    description: str = ""
    event_types: tuple[EventType, ...] = ()
    create_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    """A key that signs, its secret as stored: see `secrets`. None: it does not expire."""

    key_id: str
    secret: bytes
    create_time: datetime
    expire_time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """A webhook with the keys that sign for it now, the newest first."""

    webhook: Webhook
    keys: tuple[StoredKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedTask:
    """A task that has ended, with what it used up to now."""

    task: Task
    turns: int
    providers: tuple[ProviderTotals, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaUse:
    """How much of a quota is used: `kind` says of what, `unit` in what it is counted."""

    kind: str
    unit: str
    used: int
    limit: int
    user_id: str = ""
    renew_time: datetime | None = None


Subject: TypeAlias = Task | EndedTask | Turn | QuotaUse
"""What an event is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event on its way to one webhook; of one task, they arrive by ascending `sequence`."""

    webhook_id: str
    event_id: str
    event_type: EventType
    task_id: str
    sequence: int
    time: datetime
    attempts: int
    """Those that failed."""
    subject: Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """An event that a webhook could not be told in time, and why the last attempt failed."""

    webhook_id: str
    event_id: str
    event_type: str
    task_id: str
    time: datetime
    attempts: int
    failure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """An attempt that failed: why, and how long to wait before the next one."""

    delivery: Delivery
    failure: str
    pause: timedelta


def event_id(*parts: object) -> str:
    """Return the id of the event that the parts make up: the same whenever it is told."""
    text = "/".join(map(str, parts))
    return "evt_" + hashlib.blake2s(text.encode(), digest_size=16).hexdigest()


def from_names(names: Sequence[str]) -> tuple[EventType, ...]:
    """Return the types with these names, those of a newer version left out."""
    return tuple(each for each in EventType if each.value in names)
