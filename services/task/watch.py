"""Follows one task: a snapshot, then every event once and in order, all read from the journal."""

from collections.abc import AsyncGenerator

from services.task.domain.conversation import TaskEvent, check_range
from services.task.ports.logs import Notifier, Snapshot, TaskLogs

BATCH = 200


async def watch(
    logs: TaskLogs, notifier: Notifier, task_id: str, after_sequence: int | None
) -> AsyncGenerator[Snapshot | TaskEvent, None]:
    """Yield the task as it stands, then the events after a sequence (None: only new ones).

    Ends after the last event of a task in a final state. A slow reader delays nobody, since events
    wait in the journal. Raises ServiceError: TASK_NOT_FOUND, SEQUENCE_OUT_OF_RANGE, DRAINING.
    """
    with notifier.watching(task_id) as news:
        snapshot = await logs.snapshot(task_id)
        check_range(after_sequence, snapshot.last_sequence)
        yield snapshot
        sequence = snapshot.last_sequence if after_sequence is None else after_sequence
        is_over = False
        while not is_over:
            events, is_over = await logs.events_after(task_id, sequence, limit=BATCH)
            for event in events:
                sequence = event.sequence
                yield event
            if not is_over and len(events) < BATCH:
                await news.wait()
