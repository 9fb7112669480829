"""Finds utterances in a stream of the user's audio: where speech begins, and where it is over."""

import asyncio
from dataclasses import dataclass
from enum import Enum, auto

from services.runtime.pcm import byte_count, duration_s
from services.speech.listening.ports import VoiceDetector
from services.speech.listening.rules import ListeningRules
from services.speech.ports.recognition import LISTENING_RATE_HERTZ


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """What the user said; `pcm` is trimmed and empty when there was no voice.

    Offsets count from the stream's first sample, `_at` are times of the running loop's clock.
    """

    pcm: bytes
    end_s: float
    voiced_at: float
    ended_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Onset:
    """The user began to speak, `start_s` into the stream."""

    start_s: float


class _Voice(Enum):
    """Whether an utterance is under way."""

    QUIET = auto()
    SPEAKING = auto()


class UtteranceDetector:
    """Follows one stream of audio frame by frame, and keeps the utterance under way."""

    def __init__(self, detector: VoiceDetector, rules: ListeningRules) -> None:
        self.rules = rules
        self._detector = detector
        self._frames = bytearray()
        self._kept = bytearray()
        self._position = 0
        self._voice = _Voice.QUIET
        self._run = 0
        self._start = 0
        self._voiced_end = 0
        self._voiced_at = 0.0

    @property
    def frame_s(self) -> float:
        """How long a frame is."""
        return _seconds(self._detector.frame_bytes)

    @property
    def is_speaking(self) -> bool:
        """Whether an utterance is under way."""
        return self._voice is _Voice.SPEAKING

    @property
    def silence_s(self) -> float:
        """How long ago the last voiced frame of the utterance ended."""
        return _seconds(self._position - self._voiced_end)

    @property
    def voiced_s(self) -> float:
        """How long the utterance under way is, without the silence at its end."""
        return _seconds(self._voiced_end - self._start)

    @property
    def utterance_s(self) -> float:
        """How long the utterance under way is."""
        return _seconds(self._position - self._start)

    def frames(self, pcm: bytes) -> list[bytes]:
        """Return the whole frames that more audio completes."""
        self._frames += pcm
        size = self._detector.frame_bytes
        whole = len(self._frames) // size * size
        frames = [bytes(self._frames[at : at + size]) for at in range(0, whole, size)]
        del self._frames[:whole]
        return frames

    def accept(self, frame: bytes) -> Onset | None:
        """Take the next frame; return the onset if this one begins an utterance."""
        probability = self._detector.speech_probability(frame)
        self._kept += frame
        self._position += len(frame)
        if self.is_speaking:
            if probability >= self.rules.voice_probability:
                self._note_voice()
            return None
        self._run = self._run + len(frame) if probability >= self.rules.onset_probability else 0
        if _seconds(self._run) < self.rules.onset_s:
            return None
        self._voice = _Voice.SPEAKING
        self._start = self._position - self._run
        self._note_voice()
        return Onset(start_s=_seconds(self._start))

    def forget_silence(self) -> None:
        """Drop audio that no utterance will need; for streams that are mostly quiet."""
        if not self.is_speaking:
            excess = len(self._kept) - self._run - _size(self.rules.lead_s)
            del self._kept[: max(0, excess)]

    def audio(self) -> bytes:
        """Return the utterance so far, from a little before its onset."""
        kept_from = self._position - len(self._kept)
        begin = max(0, self._start - kept_from - _size(self.rules.lead_s))
        return bytes(self._kept[begin:])

    def take(self) -> Utterance:
        """Return the utterance under way, trimmed, and listen for the next."""
        now = asyncio.get_running_loop().time()
        if self.is_speaking:
            kept = self.audio()
            surplus = self._position - self._voiced_end - _size(self.rules.tail_s)
            pcm = kept[: len(kept) - max(0, surplus)]
            utterance = Utterance(
                pcm=pcm,
                end_s=_seconds(self._voiced_end),
                voiced_at=self._voiced_at,
                ended_at=now,
            )
        else:
            utterance = Utterance(
                pcm=b"", end_s=_seconds(self._position), voiced_at=now, ended_at=now
            )
        self._voice = _Voice.QUIET
        self._run = 0
        self._kept.clear()
        return utterance

    def _note_voice(self) -> None:
        self._voiced_end = self._position
        self._voiced_at = asyncio.get_running_loop().time()


def _seconds(size: int) -> float:
    return duration_s(size, LISTENING_RATE_HERTZ)


def _size(seconds: float) -> int:
    return byte_count(seconds, LISTENING_RATE_HERTZ)
