"""Publishes a reply's text while it is generated."""

import asyncio
from collections.abc import Callable

from services.speech.conversation.events import Event, ReplyUpdated

INTERVAL_S = 0.1
"""How often a reply's text is published: an event for each token would cost many times as much."""


class ReplyUpdates:
    """Publishes the first token at once, and then what has come within each interval."""

    def __init__(self, publish: Callable[[Event], None]) -> None:
        self._publish = publish
        self._unpublished = ""
        self._due_at = 0.0

    def add(self, delta: str) -> None:
        """Take more of the text."""
        self._unpublished += delta
        if asyncio.get_running_loop().time() >= self._due_at:
            self.flush()

    def flush(self) -> None:
        """Publish what is not published yet."""
        if self._unpublished:
            self._publish(ReplyUpdated(delta=self._unpublished))
            self._unpublished = ""
            self._due_at = asyncio.get_running_loop().time() + INTERVAL_S
