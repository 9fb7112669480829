"""What a task is, and the transitions that its life allows."""

import math
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeAlias

from services.runtime.callers.caller import DEFAULT_TENANT, Caller
from services.runtime.failures.reasons import Reason

Clock: TypeAlias = Callable[[], datetime]

TASK_ID_PREFIX = "task_"
# The cloud counts from moments slightly before or after those known here.
CLOUD_CLOCK_TOLERANCE = timedelta(seconds=5)
SEEN_SHARE = 4
"""That a client is there is recorded once in so many parts of the time that it may be gone."""
# Crockford's base 32 in lower case: no letters that look like digits, and ids sort as text.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_HALF_LENGTH = 13


class TaskState(StrEnum):
    """Where a task is in its life."""

    CREATING = "CREATING"
    STARTING = "STARTING"
    STREAMING = "STREAMING"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    FAILED = "FAILED"

    @property
    def is_final(self) -> bool:
        """Whether the task can no longer change."""
        return not TRANSITIONS[self]


TRANSITIONS: Mapping[TaskState, frozenset[TaskState]] = MappingProxyType(
    {
        TaskState.CREATING: frozenset(
            {TaskState.STARTING, TaskState.STOPPING, TaskState.FAILED},
        ),
        TaskState.STARTING: frozenset({TaskState.STREAMING, TaskState.STOPPING}),
        TaskState.STREAMING: frozenset({TaskState.STOPPING, TaskState.STOPPED}),
        TaskState.STOPPING: frozenset({TaskState.STOPPED, TaskState.FAILED}),
        TaskState.STOPPED: frozenset(),
        TaskState.FAILED: frozenset(),
    }
)
LIVE_STATES = frozenset(state for state in TaskState if not state.is_final)


class StopReason(StrEnum):
    """Why a task ended."""

    REQUESTED = "REQUESTED"
    EXPIRED = "EXPIRED"
    IDLE = "IDLE"
    CLIENT_GONE = "CLIENT_GONE"
    CLOUD = "CLOUD"
    RECONCILED = "RECONCILED"
    BUDGET = "BUDGET"
    QUOTA = "QUOTA"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a task failed; the message is safe to show to callers."""

    reason: Reason
    message: str


class IllegalTransition(Exception):
    """A task cannot make this transition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A digital human on air for one room and stream; every change makes a new value."""

    task_id: str
    tenant_id: str = DEFAULT_TENANT
    state: TaskState = TaskState.CREATING
    room_id: str
    stream_id: str
    digital_human_id: str = ""
    persona_id: str = ""
    language_code: str = ""
    user_id: str = ""
    background_color: str = ""
    avatar_id: str = ""
    max_duration: timedelta
    max_idle_duration: timedelta
    max_absence: timedelta | None = None
    """How long its client may be gone; None: for ever."""
    budget: timedelta | None = None
    """What its user had left when it was created; None: no limit."""
    create_time: datetime
    seen_time: datetime | None = None
    """When its client was last known to be there; kept only with `max_absence`."""
    claim_by: datetime | None = None
    """When the task ends unless its creator claims it; None: claimed."""
    accept_time: datetime | None = None
    start_time: datetime | None = None
    stop_time: datetime | None = None
    stop_reason: StopReason | None = None
    failure: Failure | None = None

    def is_seen_by(self, caller: Caller) -> bool:
        """Whether the task exists for a caller."""
        return caller.sees(tenant_id=self.tenant_id, user_id=self.user_id)

    @property
    def lifetime(self) -> timedelta:
        """How long after its creation the task must be over."""
        return self.max_duration if self.budget is None else min(self.max_duration, self.budget)

    @property
    def expire_time(self) -> datetime:
        """When the task must be over."""
        return self.create_time + self.lifetime

    @property
    def expire_reason(self) -> StopReason:
        """Why the task must be over then."""
        is_limited = self.lifetime < self.max_duration
        return StopReason.BUDGET if is_limited else StopReason.EXPIRED

    def is_unclaimed(self, now: datetime) -> bool:
        """Whether the time to claim the task has passed."""
        return self.claim_by is not None and self.claim_by <= now

    def is_absent(self, now: datetime, *, noted_since: datetime) -> bool:
        """Whether its client, on air, is gone for too long.

        Clients that came before `noted_since` could not be noted, which is no fault of theirs.
        """
        if self.max_absence is None or self.state is not TaskState.STREAMING:
            return False
        seen = max(filter(None, (self.seen_time, self.start_time, noted_since)))
        return now >= seen + self.max_absence + self.max_absence / SEEN_SHARE

    def billable_seconds(self, now: datetime) -> int:
        """Return the seconds, rounded up, from the cloud's acceptance to the end, or to `now`."""
        if self.accept_time is None:
            return 0
        elapsed = (self.stop_time or now) - self.accept_time
        return max(0, math.ceil(elapsed.total_seconds()))


def accepted(task: Task, *, avatar_id: str, digital_human_id: str, at: datetime) -> Task:
    """The cloud has accepted the order; a task that is stopping keeps stopping."""
    known = replace(
        task,
        avatar_id=avatar_id,
        digital_human_id=digital_human_id or task.digital_human_id,
        accept_time=at,
    )
    if task.state is TaskState.STOPPING:
        return known
    return _moved(known, TaskState.STARTING)


def refused(task: Task, *, failure: Failure, at: datetime) -> Task:
    """The cloud certainly runs nothing for the task; one that is stopping is thereby stopped."""
    if task.state is TaskState.STOPPING:
        return _moved(task, TaskState.STOPPED, stop_time=at)
    return _moved(task, TaskState.FAILED, failure=failure, stop_time=at)


def on_air(task: Task, *, at: datetime) -> Task:
    """The avatar is visible."""
    return _moved(task, TaskState.STREAMING, start_time=at)


def failing(task: Task, *, failure: Failure) -> Task:
    """The avatar did not come on air; it must be stopped before the task counts as failed."""
    return _moved(task, TaskState.STOPPING, failure=failure)


def stopping(task: Task, *, reason: StopReason) -> Task:
    """The task should end; one that is ending or has ended stays as it is."""
    if task.state is TaskState.STOPPING or task.state.is_final:
        return task
    return _moved(task, TaskState.STOPPING, stop_reason=reason)


def left(task: Task, *, now: datetime, noted_since: datetime) -> Task:
    """The task should end if its client is gone for too long."""
    if task.is_absent(now, noted_since=noted_since):
        return stopping(task, reason=StopReason.CLIENT_GONE)
    return task


def stopped(task: Task, *, at: datetime) -> Task:
    """Nothing runs any more for a stopping task; it has failed if a failure was the cause."""
    return _moved(task, TaskState.FAILED if task.failure else TaskState.STOPPED, stop_time=at)


def claimed(task: Task) -> Task:
    """The task's creator knows of it."""
    return replace(task, claim_by=None)


def asked_again(task: Task, *, claim_by: datetime | None) -> Task:
    """An unclaimed task is requested again and may now be claimed until `claim_by`."""
    return task if task.claim_by is None else replace(task, claim_by=claim_by)


def ended(task: Task, *, reason: StopReason, at: datetime) -> Task:
    """The cloud ended a task that was on air; an earlier reason to stop it stands."""
    first_reason = task.stop_reason or reason
    return _moved(task, TaskState.STOPPED, stop_reason=first_reason, stop_time=at)


def end_by_cloud(
    task: Task, *, last_turn_time: datetime | None, now: datetime
) -> tuple[StopReason, datetime]:
    """Return why the cloud ended a task on its own, and the latest time it can have been."""
    idle_since = max(filter(None, (task.start_time, last_turn_time)), default=task.create_time)
    idle_end = idle_since + task.max_idle_duration
    first_end = min(task.expire_time, idle_end)
    if now < first_end - CLOUD_CLOCK_TOLERANCE:
        return StopReason.CLOUD, now
    reason = task.expire_reason if first_end == task.expire_time else StopReason.IDLE
    return reason, min(first_end, now)


def new_task_id(now: datetime) -> str:
    """Return an id that sorts by time, to the microsecond, and cannot be guessed."""
    microseconds = int(now.timestamp() * 1_000_000)
    chance = secrets.randbits(5 * _HALF_LENGTH)
    return TASK_ID_PREFIX + _base32(microseconds) + _base32(chance)


def is_task_id(text: str) -> bool:
    """Return whether a text has the form of a task id."""
    body = text.removeprefix(TASK_ID_PREFIX)
    return text != body and len(body) == 2 * _HALF_LENGTH and set(body) <= set(_ALPHABET)


def _base32(number: int) -> str:
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(_HALF_LENGTH)))


def _moved(task: Task, state: TaskState, **changes: Any) -> Task:
    if state not in TRANSITIONS[task.state]:
        raise IllegalTransition(f"{task.task_id} cannot go from {task.state} to {state}")
    return replace(task, state=state, **changes)
