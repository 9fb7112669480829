"""The JSON answers about turns and what was heard of them, as clients read them."""

from typing import Literal

from pydantic import Field

from gateway.contract.fields import Instant, Milliseconds
from gateway.contract.json_model import JsonModel
from gateway.contract.models import Failure


class Timings(JsonModel):
    """When the stages of a turn were reached, after the last sound of the question."""

    endpoint_ms: Milliseconds | None = None
    transcript_ms: Milliseconds | None = None
    first_token_ms: Milliseconds | None = None
    first_sentence_ms: Milliseconds | None = None
    first_audio_ms: Milliseconds | None = None
    drive_ready_ms: Milliseconds | None = None
    first_pcm_sent_ms: Milliseconds | None = None
    playback_started_ms: Milliseconds | None = None
    last_token_ms: Milliseconds | None = None


class Ledger(JsonModel):
    """How much of a reply became sound and was heard, and how that is known."""

    sentence_count: int
    produced_ms: Milliseconds
    sent_ms: Milliseconds
    played_ms: Milliseconds
    playback_method: str | None = Field(default=None, description="ESTIMATED, CONFIRMED or CALLER.")
    heard_method: str | None = Field(
        default=None, description="COMPLETE, WORD_TIMES, SEGMENT_SHARE or NOTHING."
    )
    confidence: float


class TurnAnswer(JsonModel):
    """A turn that is over, or whose reply begins to be spoken: what is not known yet is absent."""

    success: Literal[True] = True
    message: str
    turn_id: int | None = Field(default=None, description="Absent when nothing was said.")
    transcript: str | None = Field(default=None, description="What was asked, if it was asked.")
    reply: str | None = Field(
        default=None, description="The reply: all of it, or as far as it is made when it begins."
    )
    heard: str | None = Field(default=None, description="What of it was heard.")
    interrupted: bool | None = None
    timings: Timings | None = None
    ledger: Ledger | None = None


class Turn(JsonModel):
    """A turn as recorded."""

    turn_id: int
    origin: str | None = Field(
        default=None, description="SPEECH, TEXT, SAY, PROMPT, RESUMED or GREETING."
    )
    transcript: str | None = Field(default=None, description="Absent when nothing was asked.")
    reply: str | None = Field(default=None, description="Absent before its first word.")
    heard: str | None = Field(default=None, description="Absent while the turn runs.")
    interrupted: bool
    lang: str | None = None
    start_time: Instant | None = None
    finish_time: Instant | None = None
    failure: Failure | None = None
    timings: Timings = Timings()
    ledger: Ledger | None = None


class LedgerWord(JsonModel):
    """When a word of the reply is heard."""

    text_start: int = Field(description="Its first character in the reply.")
    text_end: int
    start_ms: Milliseconds = Field(description="From the first sound of the reply.")
    end_ms: Milliseconds


class LedgerSegment(JsonModel):
    """A clause or sentence of a reply, from text to ear."""

    text: str = Field(description="As it stands in the reply.")
    spoken: str = Field(description="As the voice said it.")
    text_start: int = Field(description="Its first character in the reply.")
    text_end: int
    audio_start_ms: Milliseconds = Field(description="Its place in the sound of the reply.")
    audio_end_ms: Milliseconds
    sent_ms: Milliseconds = Field(description="How much of it was handed to the cloud.")
    played_ms: Milliseconds = Field(description="How much of it was played.")
    heard: str
    heard_method: str | None = Field(
        default=None, description="COMPLETE, WORD_TIMES, SEGMENT_SHARE or NOTHING."
    )
    confidence: float
    words: list[LedgerWord] = Field(description="Empty when the voice gives no times.")


class LedgerAnswer(JsonModel):
    """What became of a turn's reply; while it runs there is no `ledger` and no segment."""

    success: Literal[True] = True
    task_id: str
    turn_id: int
    reply: str | None = Field(default=None, description="Absent before its first word.")
    heard: str | None = Field(default=None, description="Absent while the turn runs.")
    interrupted: bool
    finish_time: Instant | None = Field(default=None, description="Absent while the turn runs.")
    failure: Failure | None = None
    ledger: Ledger | None = None
    segments: list[LedgerSegment]


class Conversation(JsonModel):
    """What was said during a task."""

    success: Literal[True] = True
    task_id: str
    turns: list[Turn]
    last_sequence: int
