"""Watches one task over as many streams as it takes."""

import asyncio
from collections.abc import AsyncGenerator

import structlog

from digitalhuman.task.v1 import task_pb2 as pb
from gateway.backend.services import Backend
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import RULES, Recovery

log = structlog.get_logger(__name__)

PAUSES_S = (0.1, 0.3, 1.0, 2.0, 3.0)
"""Before each attempt to reconnect, per outage."""


async def updates(
    backend: Backend, task_id: str, *, after: int | None = None
) -> AsyncGenerator[pb.WatchTaskResponse, None]:
    """Yield the task as it is, then each of its events once, until its final state.

    Waits for a task service that restarts. Raises ServiceError.
    """
    position = after
    has_snapshot = False
    failures = 0
    while True:
        request = pb.WatchTaskRequest(task_id=task_id, after_sequence=position)
        try:
            async with backend.watch(request) as responses:
                async for response in responses:
                    failures = 0
                    if response.HasField("event"):
                        position = response.event.sequence
                    elif has_snapshot:
                        continue
                    else:
                        has_snapshot = True
                        position = response.snapshot.last_sequence if after is None else after
                    yield response
            return
        except ServiceError as error:
            is_outage = RULES[error.reason].recovery is Recovery.OUTAGE
            if not is_outage or failures >= len(PAUSES_S):
                raise
            log.warning("watch interrupted", task_id=task_id, reason=error.reason)
        await asyncio.sleep(PAUSES_S[failures])
        failures += 1
