"""Turns whose process went away: what was heard of their replies, by what others know."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import grpc
import structlog

from digitalhuman.avatar.v1 import avatar_pb2
from digitalhuman.avatar.v1.avatar_pb2_grpc import AvatarServiceStub
from digitalhuman.conversation.v1.conversation_pb2 import ConversationEvent
from services.runtime.callers.requests import outgoing_metadata
from services.runtime.channels.replicas import Replicas
from services.runtime.failures.errors import ServiceError, from_rpc_error
from services.runtime.failures.reasons import RULES, Reason
from services.runtime.pcm import byte_count
from services.speech.conversation.events import SentenceStarted, TurnFailed
from services.speech.conversation.wire import from_sentence
from services.speech.dialogue.replies import Exchange
from services.speech.playback.ledger import Ledger, LedgerSummary
from services.speech.playback.ports import Playback
from services.speech.playback.wire import from_progress
from services.speech.text.normalization import captioned, speakable

log = structlog.get_logger(__name__)

AVATAR_ANSWER_S = 8.0
"""How long the avatar service may take to answer."""

RATE_HERTZ = 24_000
"""What a ledger counts in; any rate will do, as only recorded times are converted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Abandoned:
    """What is recorded of a turn that nobody holds any more."""

    turn_id: int
    user_text: str = ""
    reply_text: str = ""
    language_code: str = ""
    sentences: tuple[SentenceStarted, ...] = ()

    def closed(self, playback: Playback | None) -> tuple[TurnFailed, Exchange]:
        """Return how the turn ends, and how it is remembered.

        `playback` is None when nothing is known about its audio.
        """
        # If no sentence was recorded, nobody knows which text was played.
        is_known = bool(self.sentences)
        summary = self._ledger(playback) if playback is not None and is_known else None
        heard_text = summary.heard.text if summary is not None else ""
        failed = TurnFailed(
            error=ServiceError(Reason.TURN_ABANDONED, f"{RULES[Reason.TURN_ABANDONED].title}."),
            reply_text=self.reply_text,
            heard_text=heard_text,
            ledger=summary,
        )
        return failed, Exchange(user_text=self.user_text, heard_text=heard_text)

    def _ledger(self, playback: Playback) -> LedgerSummary:
        ledger = Ledger(sample_rate_hertz=RATE_HERTZ)
        ledger.add_text(self.reply_text)
        # How long the last one would have been is unknown.
        ends_s = [each.audio_s for each in self.sentences[1:]] + [playback.sent_s]
        for sentence, end_s in zip(self.sentences, ends_s, strict=True):
            written = self.reply_text[sentence.text_start : sentence.text_end]
            spoken = speakable(written, self.language_code)
            start = ledger.spoken_length
            ledger.add_segment(
                text_start=sentence.text_start, text_end=sentence.text_end, spoken=spoken
            )
            words = sentence.words if captioned(spoken.text, written) == sentence.text else ()
            ledger.add_audio(
                byte_count(max(0.0, end_s - sentence.audio_s), RATE_HERTZ),
                tuple(word.moved(start, ledger.produced_s) for word in words),
                None if sentence is self.sentences[-1] else ledger.spoken_length,
            )
        return ledger.summary(playback)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastReply:
    """How much of a turn's reply an avatar has played."""

    turn_id: int
    playback: Playback


CutOff: TypeAlias = Callable[[str], Awaitable[LastReply | None]]
"""Cuts off what the avatar with this id says; None: what it said last is unknown."""


def cutting_off(avatars: Replicas[AvatarServiceStub], *, service_token: str | None) -> CutOff:
    """Return what silences an avatar whose caller has gone, and learns how far it came."""

    async def cut_off(avatar_id: str) -> LastReply | None:
        request = avatar_pb2.InterruptAvatarRequest(avatar_id=avatar_id)
        try:
            answer = await avatars.for_key(avatar_id).InterruptAvatar(
                request, timeout=AVATAR_ANSWER_S, metadata=outgoing_metadata(service_token)
            )
        except grpc.aio.AioRpcError as error:
            log.warning("abandoned reply not cut off", reason=from_rpc_error(error).reason)
            return None
        if not answer.HasField("last_drive"):
            return None
        return LastReply(
            turn_id=answer.last_drive.turn_id,
            playback=from_progress(answer.last_drive.progress),
        )

    return cut_off


def sentences_of(turn_id: int, events: Sequence[ConversationEvent]) -> tuple[SentenceStarted, ...]:
    """Return the sentences of a turn that became audio, from its recorded events."""
    return tuple(
        from_sentence(event.sentence_started)
        for event in events
        if event.turn_id == turn_id and event.HasField("sentence_started")
    )
