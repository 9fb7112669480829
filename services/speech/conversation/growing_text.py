"""Tells a reply's text while it is written."""

import asyncio
from collections.abc import Callable

from services.speech.conversation.events import Event, ReplyUpdated

PIECE_S = 0.1
"""How often a reply's text is told while it is written: token by token costs a multiple."""


class GrowingText:
    """Tells a reply's text in pieces: the first token at once, then what has come in a while."""

    def __init__(self, publish: Callable[[Event], None]) -> None:
        self._publish = publish
        self._untold = ""
        self._due_at = 0.0

    def add(self, delta: str) -> None:
        """Take what was written."""
        self._untold += delta
        if asyncio.get_running_loop().time() >= self._due_at:
            self.tell()

    def tell(self) -> None:
        """Tell what is not told yet."""
        if self._untold:
            self._publish(ReplyUpdated(delta=self._untold))
            self._untold = ""
            self._due_at = asyncio.get_running_loop().time() + PIECE_S
