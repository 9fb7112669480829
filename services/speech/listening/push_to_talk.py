"""Push-to-talk: the caller says when an utterance is over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.runtime.failures.errors import refused
from services.runtime.failures.reasons import Reason
from services.runtime.pcm import duration_s
from services.speech.listening.detector import Onset, Utterance, UtteranceDetector
from services.speech.listening.hearing import Hearing, OnHypothesis, OpenHearing
from services.speech.listening.ports import VoiceDetector
from services.speech.listening.rules import ListeningRules
from services.speech.ports.recognition import LISTENING_RATE_HERTZ, Transcript


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """An utterance and its recognition, if that has begun."""

    utterance: Utterance
    transcript: "asyncio.Task[Transcript] | None"


class PushToTalk:
    """The caller says when an utterance is over; until then it is heard as far as it goes.

    Used inside `running`.
    """

    def __init__(
        self,
        detector: VoiceDetector,
        rules: ListeningRules,
        *,
        open_hearing: OpenHearing,
        on_hypothesis: OnHypothesis,
    ) -> None:
        self._detector = UtteranceDetector(detector, rules)
        self._held_bytes = 0
        self._open_hearing = open_hearing
        self._on_hypothesis = on_hypothesis
        self._hearing: Hearing | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen inside the block."""
        try:
            yield
        finally:
            self._drop()

    def push(self, pcm: bytes) -> Onset | None:
        """Take audio; return the onset if there is one; raises ServiceError at too much."""
        self._held_bytes += len(pcm)
        longest_s = self._detector.rules.longest_s
        if duration_s(self._held_bytes, LISTENING_RATE_HERTZ) > longest_s:
            raise refused(
                Reason.AUDIO_TOO_LONG,
                "audio.pcm",
                "max_duration",
                f"an utterance is at most {longest_s:g} seconds long",
            )
        found = None
        for frame in self._detector.frames(pcm):
            onset = self._detector.accept(frame)
            if onset is not None:
                found = onset
                self._hearing = self._open_hearing(
                    self._on_hypothesis, self._detector.rules.barge_in_s
                )
                frame = self._detector.audio()
            if self._hearing is not None:
                self._hearing.push(frame, voiced_s=self._detector.voiced_s)
        return found

    def commit(self) -> Committed | None:
        """Return the utterance, or None when no audio was held."""
        if not self._held_bytes:
            return None
        self._held_bytes = 0
        utterance, hearing, self._hearing = self._detector.take(), self._hearing, None
        transcript = hearing.end(utterance.pcm) if hearing is not None else None
        return Committed(utterance=utterance, transcript=transcript)

    def _drop(self) -> None:
        if self._hearing is not None:
            self._hearing.drop()
