"""Closes the turns of ended tasks whose process went away before it could.

While a task lives, the next process that holds its conversation does so, and asks the avatar what
was heard. After the end nobody holds it again, and nobody knows.
"""

import structlog

from services.runtime.callers.caller import acting_for, of_tenant
from services.runtime.failures.errors import ServiceError
from services.task.domain.conversation import OpenTurn
from services.task.domain.tasks import Clock
from services.task.event_wire import to_abandoned
from services.task.ports.conversations import CLOSING_GRACE, Conversations

log = structlog.get_logger(__name__)

AT_ONCE = 100


async def close_abandoned_turns(conversations: Conversations, clock: Clock) -> None:
    """Close some of them, each with TURN_ABANDONED and nothing heard. Raises ServiceError."""
    for turn in await conversations.abandoned_turns(
        ended_before=clock() - CLOSING_GRACE, limit=AT_ONCE
    ):
        try:
            with acting_for(of_tenant(turn.tenant_id)):
                await _close(conversations, clock, turn)
        except ServiceError as error:
            # Another replica has added to the conversation: the next sweep looks again.
            log.info("abandoned turn not closed", task_id=turn.task_id, reason=error.reason.value)


async def _close(conversations: Conversations, clock: Clock, turn: OpenTurn) -> None:
    until_now = clock() - turn.end_time + CLOSING_GRACE
    await conversations.append(turn.task_id, [to_abandoned(turn)], closing_grace=until_now)
    log.warning("abandoned turn closed", task_id=turn.task_id, turn_id=turn.turn_id)
