"""The metrics of tasks."""

from collections import Counter as Counts
from collections.abc import Iterable
from datetime import datetime

from prometheus_client import Counter, Gauge

from services.task.domain.tasks import LIVE_STATES, Task, TaskState

TASK_MOVES = Counter("parley_task_moves_total", "Tasks that came to a state, by state.", ["state"])
TASKS = Gauge(
    "parley_tasks",
    "Tasks of all replicas that are not over, by state; on air is STREAMING.",
    ["state"],
)
BILLABLE_SECONDS = Counter(
    "parley_billable_seconds_total", "Seconds that the cloud bills for tasks that are over."
)
LEAKED_SECONDS = Counter(
    "parley_task_leaked_seconds_total",
    "Seconds that avatars were found running after the end of their task, or for none.",
)
LEASE_MOVES = Counter(
    "parley_task_lease_moves_total",
    "Leases taken over from replicas that showed no sign of life, by kind: task or conversation.",
    ["kind"],
)

# A series that begins with its first count has no rate until the second.
for _state in TaskState:
    TASK_MOVES.labels(state=_state.value)
for _kind in ("task", "conversation"):
    LEASE_MOVES.labels(kind=_kind)


def note_live(tasks: Iterable[Task]) -> None:
    """Report how many tasks are live, in all replicas."""
    numbers = Counts(task.state for task in tasks)
    for state in LIVE_STATES:
        TASKS.labels(state=state.value).set(numbers[state])


def forget_live() -> None:
    """Report live tasks no longer: another replica does."""
    TASKS.clear()


def note_move(after: Task, *, now: datetime) -> None:
    """Count a task that came to another state."""
    TASK_MOVES.labels(state=after.state.value).inc()
    if after.state.is_final:
        BILLABLE_SECONDS.inc(after.billable_seconds(now))
