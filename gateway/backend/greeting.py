"""The first words of a digital human, said for clients that do not ask for them."""

from contextlib import aclosing

import structlog

from digitalhuman.conversation.v1 import conversation_pb2
from gateway.backend import turns
from gateway.backend.services import Backend
from services.runtime.failures.errors import ServiceError

log = structlog.get_logger(__name__)


async def greet(backend: Backend, task_id: str, *, timeout_s: float) -> None:
    """Have the user greeted, unless somebody has asked or said something; raises ServiceError.

    The greeting goes on after its beginning was seen.
    """
    asked = [turns.setup(task_id), *turns.greeting()]
    async with aclosing(turns.converse(backend, asked, timeout_s=timeout_s)) as responses:
        async for response in responses:
            started = response.event.turn_started
            if started.origin == conversation_pb2.TURN_ORIGIN_GREETING:
                return


async def greet_on_air(backend: Backend, task_id: str, *, timeout_s: float) -> None:
    """Have the user greeted once the task is on air; a failure costs nothing but the greeting."""
    try:
        await greet(backend, task_id, timeout_s=timeout_s)
    except ServiceError as error:
        log.warning("user not greeted", task_id=task_id, reason=str(error.reason))
