"""Drops words that nobody said: given noise, a recogniser makes up sentences."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from enum import Enum, auto

import structlog

from services.speech.listening.annotations import without_annotations
from services.speech.listening.hallucinations import is_hallucination
from services.speech.ports.evidence import SpeechEvidence
from services.speech.ports.recognition import RecognitionRequest, Recognizer, Transcript
from services.speech.streams import closing
from services.speech.text.characters import readable
from services.speech.text.segmentation import speech_s

log = structlog.get_logger(__name__)

LIKELY_PEAK = 0.95
WEAK_PEAK = 0.9
LEAST_PEAK = 0.75
"""The detector's peak in speech is at least the first of these, in a loud room the second; in noise
alone it stays below the third. In music it may reach the first."""

MOST_STILLNESS = 0.3
"""Speech never stands still for a larger share; notes and tones do nothing else."""

HASTE = 3.0
LEAST_SAYABLE_S = 1.5
"""A text was not said if it takes so many times longer to say than there is voice, and longer than
a moment."""

SPEECH_BELIEVED = 0.2
SPEECH_DOUBTED = 0.45
"""Below the first probability of no speech a recogniser is believed, above the second it is not."""


class Weight(Enum):
    """How strong the evidence of speech is."""

    NONE = auto()
    WEAK = auto()
    STRONG = auto()


def weight(evidence: SpeechEvidence, no_speech_probability: float | None) -> Weight:
    """Return what the detector and the recogniser find together."""
    if evidence.peak < LEAST_PEAK:
        return Weight.NONE
    if no_speech_probability is not None and no_speech_probability < SPEECH_BELIEVED:
        return Weight.STRONG
    # Speech over a hum stands still too, but has the peak of speech.
    is_still = evidence.stillness > MOST_STILLNESS
    if is_still and evidence.peak < LIKELY_PEAK:
        return Weight.NONE
    if no_speech_probability is None:
        return Weight.STRONG if evidence.peak >= LIKELY_PEAK and not is_still else Weight.WEAK
    if no_speech_probability > SPEECH_DOUBTED and evidence.peak < WEAK_PEAK:
        return Weight.NONE
    return Weight.WEAK


def is_said(text: str, evidence: SpeechEvidence, no_speech_probability: float | None) -> bool:
    """Whether the words were said in an utterance with that evidence."""
    likely_s = speech_s(text)
    if likely_s > max(LEAST_SAYABLE_S, HASTE * evidence.voiced_s):
        return False
    match weight(evidence, no_speech_probability):
        case Weight.NONE:
            return False
        case Weight.WEAK:
            return not is_hallucination(text)
        case Weight.STRONG:
            return True


class GuardedRecognizer:
    """A recognizer whose transcripts contain only words, and none where nobody spoke."""

    def __init__(self, recognizer: Recognizer, *, weigh: Callable[[bytes], SpeechEvidence]) -> None:
        """`weigh` blocks; it runs in a thread."""
        self._recognizer = recognizer
        self._weigh = weigh

    @property
    def name(self) -> str:
        """The recognizer's own."""
        return self._recognizer.name

    @property
    def is_streaming(self) -> bool:
        """As the recognizer's."""
        return self._recognizer.is_streaming

    @property
    def detects_turn_ends(self) -> bool:
        """As the recognizer's."""
        return self._recognizer.detects_turn_ends

    async def transcribe(
        self, audio: AsyncIterator[bytes], request: RecognitionRequest
    ) -> AsyncIterator[Transcript]:
        """Yield the recognizer's hypotheses without what was not said; raises ProviderError."""
        recording = bytearray()

        async def recorded() -> AsyncIterator[bytes]:
            async for chunk in audio:
                recording.extend(chunk)
                yield chunk

        hypotheses = self._recognizer.transcribe(recorded(), request)
        async with closing(hypotheses) as transcripts:
            async for each in transcripts:
                words = without_annotations(readable(each.text))
                if words and each.is_final and not await self._is_said(words, each, recording):
                    words = ""
                yield replace(each, text=words)

    async def _is_said(self, words: str, transcript: Transcript, recording: bytearray) -> bool:
        evidence = await asyncio.to_thread(self._weigh, bytes(recording))
        if is_said(words, evidence, transcript.no_speech_probability):
            return True
        log.info(
            "hallucinated words",
            recognizer=self.name,
            peak=round(evidence.peak, 2),
            stillness=round(evidence.stillness, 2),
            voiced_s=round(evidence.voiced_s, 2),
            no_speech_probability=transcript.no_speech_probability,
        )
        return False
