"""Push-to-talk: the caller says when an utterance is over."""

from services.runtime.errors import refused
from services.runtime.pcm import duration_s
from services.runtime.reasons import Reason
from services.speech.listening.detector import Onset, Utterance, UtteranceDetector
from services.speech.listening.rules import ListeningRules
from services.speech.ports import LISTENING_RATE_HERTZ, VoiceDetector


class PushToTalk:
    """The caller says when an utterance is over."""

    def __init__(self, detector: VoiceDetector, rules: ListeningRules) -> None:
        self._detector = UtteranceDetector(detector, rules)
        self._held_bytes = 0

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
        onset = None
        for frame in self._detector.frames(pcm):
            onset = self._detector.accept(frame) or onset
        return onset

    def commit(self) -> Utterance | None:
        """Return the utterance, or None when no audio was held."""
        if not self._held_bytes:
            return None
        self._held_bytes = 0
        return self._detector.take()
