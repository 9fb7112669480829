"""A reply that fell silent for the user's voice, until it is known what that voice wanted."""

import asyncio
from dataclasses import dataclass

from services.speech.conversation.turn_input import ResumedInput
from services.speech.conversation.turn_queue import QueuedTurn


@dataclass(slots=True, kw_only=True)
class _YieldedReply:
    """The turn whose reply was cut off, and what was left of it once that has settled."""

    turn: QueuedTurn
    rest: ResumedInput | None = None


class Resumption:
    """Keeps one reply at most: it is resumed when the voice asked for nothing, else given up."""

    def __init__(self) -> None:
        self._reply: _YieldedReply | None = None

    def offer(self, turn: QueuedTurn) -> None:
        """The reply of a turn falls silent, and may be resumed."""
        self.give_up()
        self._reply = _YieldedReply(turn=turn)

    def keep(self, turn: QueuedTurn, rest: ResumedInput) -> None:
        """Keep what a turn left unsaid if its reply may be resumed; otherwise drop it."""
        if self._reply is not None and self._reply.turn is turn:
            self._reply.rest = rest
        else:
            rest.generation.cancel()

    def give_up(self) -> None:
        """The reply is not resumed."""
        if self._reply is not None and self._reply.rest is not None:
            self._reply.rest.generation.cancel()
        self._reply = None

    def withdraw(self, turn: QueuedTurn) -> bool:
        """Give up a turn's reply, if it is the one that may be resumed."""
        is_kept = self._reply is not None and self._reply.turn is turn
        if is_kept:
            self.give_up()
        return is_kept

    async def take(self) -> QueuedTurn | None:
        """Wait until the reply has settled; return the turn that resumes it, None without one."""
        reply = self._reply
        if reply is None:
            return None
        await asyncio.wait({reply.turn.over})
        if self._reply is not reply:
            return None
        self._reply = None
        if reply.rest is None:
            return None
        return QueuedTurn(
            turn_input=reply.rest,
            reply_voice=reply.turn.reply_voice,
            speaker=reply.turn.speaker,
        )
