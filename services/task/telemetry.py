"""The metrics of tasks."""

from collections.abc import Iterable
from datetime import datetime

from prometheus_client import Counter, Gauge

from services.task.tasks import LIVE_STATES, Task

TASK_MOVES = Counter("parley_task_moves_total", "Tasks that came to a state, by state.", ["state"])
TASKS = Gauge("parley_tasks", "Tasks that are not over, by state; on air is STREAMING.", ["state"])
BILLABLE_SECONDS = Counter(
    "parley_billable_seconds_total", "Seconds that the cloud bills for tasks that are over."
)


def note_live(tasks: Iterable[Task]) -> None:
    """Count the tasks that an earlier process left behind."""
    for state in LIVE_STATES:
        TASKS.labels(state=state.value).set(0)
    for task in tasks:
        TASKS.labels(state=task.state.value).inc()


def note_change(before: Task | None, after: Task, *, now: datetime) -> None:
    """Count a task that is new or has changed state."""
    if before is not None and before.state == after.state:
        return
    if before is not None:
        TASKS.labels(state=before.state.value).dec()
    if after.state.is_final:
        BILLABLE_SECONDS.inc(after.billable_seconds(now))
    else:
        TASKS.labels(state=after.state.value).inc()
