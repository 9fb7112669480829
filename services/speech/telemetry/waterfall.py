"""When each stage of a turn was reached."""

import asyncio
import time
from enum import StrEnum


class Mark(StrEnum):
    """A stage of a turn."""

    ENDPOINT = "endpoint"
    TRANSCRIPT = "transcript"
    FIRST_TOKEN = "first_token"
    FIRST_SENTENCE = "first_sentence"
    FIRST_AUDIO = "first_audio"
    DRIVE_READY = "drive_ready"
    FIRST_PCM_SENT = "first_pcm_sent"
    PLAYBACK_STARTED = "playback_started"
    LAST_TOKEN = "last_token"


class Waterfall:
    """Measures from the last voiced sample, or from the arrival of a text.

    `anchor_s` is a time of the running loop's clock; `offsets` are seconds after it.
    """

    def __init__(self, anchor_s: float) -> None:
        self._anchor_s = anchor_s
        # The turn's span is placed by the wall clock, and measured by the loop's.
        self.anchor_time = time.time() - self.lasted_s  # noqa: TID251
        self.offsets: dict[Mark, float] = {}

    @property
    def lasted_s(self) -> float:
        """The time since the anchor."""
        return asyncio.get_running_loop().time() - self._anchor_s

    def reach(self, mark: Mark, at_s: float | None = None) -> None:
        """Record a stage, now or at a time of the loop's clock; only the first time counts."""
        reached_s = asyncio.get_running_loop().time() if at_s is None else at_s
        self.offsets.setdefault(mark, max(0.0, reached_s - self._anchor_s))
