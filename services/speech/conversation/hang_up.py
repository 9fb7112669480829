"""Hangs up on a user who says nothing: every minute of an avatar costs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from services.speech.conversation.conversation import Conversation

WARNING_S = 20.0
"""How long before the end it is announced."""

LOOK_S = 0.5


@asynccontextmanager
async def hanging_up(
    conversation: Conversation,
    *,
    longest_quiet_s: float,
    warn: Callable[[], None],
    end: Callable[[], Awaitable[None]],
) -> AsyncIterator[None]:
    """Within the block, `warn` and then `end` a conversation that has been quiet for too long.

    What is asked or said after the warning is answered, and the time starts again. The cloud ends
    idle tasks too, but unannounced and by its own count, which starts again with the warning.
    """
    watching = asyncio.create_task(_watch(conversation, longest_quiet_s, warn, end))
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait({watching})


async def _watch(
    conversation: Conversation,
    longest_quiet_s: float,
    warn: Callable[[], None],
    end: Callable[[], Awaitable[None]],
) -> None:
    warning_at_s = max(longest_quiet_s - WARNING_S, longest_quiet_s / 2)
    before_s = 0.0
    while (quiet_s := conversation.quiet_s) < longest_quiet_s:
        if before_s < warning_at_s <= quiet_s:
            warn()
        before_s = quiet_s
        await asyncio.sleep(LOOK_S)
    await end()
