"""The turn that is being held, and the reply of the one before it."""

import asyncio
from dataclasses import dataclass
from typing import Self

from services.speech.conversation.turn import Turn
from services.speech.conversation.turn_queue import QueuedTurn
from services.speech.listening.turn_detector import Speaking

ECHO_S = 2.0
"""How long after a reply its sound may still come back through a microphone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningTurn:
    """The turn that is being held, as it was queued and as it runs."""

    queued: QueuedTurn
    turn: Turn

    @property
    def speaking(self) -> Speaking:
        """What the digital human is doing; a reply that is cut off no longer counts."""
        if self.queued.cut.done():
            return Speaking.SILENT
        return Speaking.ALOUD if self.turn.is_audible else Speaking.PREPARING


@dataclass(frozen=True, slots=True, kw_only=True)
class LastReply:
    """The reply that was spoken last, and when its turn ended, in loop time."""

    text: str
    ended_at: float

    @classmethod
    def of(cls, turn: Turn) -> Self:
        """The reply of a turn that ends now."""
        return cls(text=turn.reply_text, ended_at=asyncio.get_running_loop().time())

    @property
    def echo(self) -> str:
        """Its text, as long as it may still come back."""
        is_recent = asyncio.get_running_loop().time() <= self.ended_at + ECHO_S
        return self.text if is_recent else ""
