"""The outcome of the turn that a request asked for."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import assert_never

import structlog

from digitalhuman.conversation.v1 import conversation_pb2
from digitalhuman.speech.v1 import speech_pb2 as pb
from gateway.contract.preferences import TalkAnswer
from gateway.contract.turn_models import TurnAnswer
from gateway.contract.turn_wire import from_latency, from_ledger
from gateway.contract.wire import from_failed_status
from services.runtime.failures.errors import ServiceError

log = structlog.get_logger(__name__)


class AskedTurn:
    """One turn among all that the stream of its request reports.

    A task's conversation is shared by all who take part: the stream also reports turns that others
    ask for. The turn is recognised by its `request_id`; a spoken question has none.
    """

    def __init__(
        self, responses: AsyncGenerator[pb.ConverseResponse, None], *, request_id: str
    ) -> None:
        self._responses = responses
        self._request_id = request_id
        self._turn_id: int | None = None
        self._transcript = ""
        self._reply = ""

    async def until(self, answer: TalkAnswer) -> TurnAnswer | None:
        """Return the turn at the moment of its answer; None when there was no turn.

        Raises ServiceError when it failed before.
        """
        async for response in self._responses:
            event = response.event
            self._recognize(event)
            if event.turn_id != self._turn_id:
                continue
            name = event.WhichOneof("event")
            match name:
                case "turn_started":
                    self._transcript = event.turn_started.user_text
                case "reply_updated":
                    self._reply += event.reply_updated.delta
                case "playback_started":
                    if answer is TalkAnswer.PLAYING:
                        return self._playing()
                case "turn_finished":
                    return self._finished(event.turn_finished)
                case "turn_failed":
                    raise from_failed_status(event.turn_failed.status)
                case (
                    "speech_started"
                    | "speech_ended"
                    | "speech_dismissed"
                    | "transcript_updated"
                    | "sentence_started"
                    | "tool_called"
                    | None
                ):
                    pass
                case _:
                    assert_never(name)
        return None

    async def follow(self) -> None:
        """Read on to the end of a turn that was answered early."""
        async with aclosing(self._responses):
            try:
                await self.until(TalkAnswer.FINISHED)
            except ServiceError as error:
                # The task's events report it.
                log.info("turn failed after its answer", reason=str(error.reason))

    def _recognize(self, event: conversation_pb2.ConversationEvent) -> None:
        if self._turn_id is not None:
            return
        is_heard = event.HasField("speech_ended") and not self._request_id
        is_started = (
            event.HasField("turn_started") and event.turn_started.request_id == self._request_id
        )
        if is_heard or is_started:
            self._turn_id = event.turn_id

    def _playing(self) -> TurnAnswer:
        return TurnAnswer(
            message="AI interaction started",
            turn_id=self._turn_id,
            transcript=self._transcript or None,
            reply=self._reply or None,
        )

    def _finished(self, finished: conversation_pb2.TurnFinished) -> TurnAnswer:
        return TurnAnswer(
            message="AI interaction completed",
            turn_id=self._turn_id,
            transcript=self._transcript or None,
            reply=finished.reply_text,
            heard=finished.heard_text,
            interrupted=finished.interrupted,
            timings=from_latency(finished.latency),
            ledger=from_ledger(finished.ledger),
        )
