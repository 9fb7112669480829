"""Whether a sound is speech, as far as the sound itself shows."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechEvidence:
    """Acoustic evidence that an utterance is speech, regardless of its words.

    `peak` is the detector's highest probability of speech over 0.13 s. `stillness` (0..1) is the
    share of the voiced sound whose spectrum does not change, as in notes and tones.
    """

    peak: float
    voiced_s: float
    stillness: float
