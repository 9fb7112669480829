"""Whose turn a piece of work takes where work waits: its tenant's, and there its conversation's."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from services.runtime.callers.caller import current_caller

_conversation: ContextVar[str] = ContextVar("conversation", default="")


def current_flow() -> tuple[str, str]:
    """Return the tenant and the conversation that the running code works for."""
    return current_caller().tenant_id, _conversation.get()


@contextmanager
def in_flow(conversation: str) -> Iterator[None]:
    """Work for a conversation of the current caller inside the block, as do tasks begun there."""
    token = _conversation.set(conversation)
    try:
        yield
    finally:
        _conversation.reset(token)
