"""Finds utterances in a stream of the user's audio: where speech begins, and where it is over."""

import asyncio
from dataclasses import dataclass
from enum import Enum, auto

from services.runtime.errors import refused
from services.runtime.pcm import byte_count, duration_s
from services.runtime.reasons import Reason
from services.speech.ports import LISTENING_RATE_HERTZ, VoiceDetector


@dataclass(frozen=True, slots=True, kw_only=True)
class ListeningRules:
    """Thresholds, each of which a persona may set; probabilities 0..1, durations in seconds."""

    onset_probability: float = 0.5
    """From here a frame is taken for the beginning of speech."""
    voice_probability: float = 0.35
    """From here a frame continues speech."""
    onset_s: float = 0.08
    """So much voice in a row begins an utterance: a click does not."""
    lead_s: float = 0.3
    """Kept before the first voiced frame, whose consonant the detector may have missed."""
    tail_s: float = 0.3
    """Kept after the last voiced frame."""
    probe_s: float = 0.2
    """After so much silence the turn model and the recogniser are asked."""
    complete_probability: float = 0.88
    """From here the turn model takes the speaker for finished."""
    complete_silence_s: float = 0.3
    """Silence that ends an utterance which sounds and reads finished."""
    unknown_silence_s: float = 1.0
    """Silence that ends one of which that is not certain."""
    incomplete_silence_s: float = 1.2
    """Silence that ends one which seems unfinished."""
    longest_s: float = 60.0
    """An open microphone's utterance is ended here; a held button's is refused."""
    barge_in_s: float = 0.5
    """So much voice during a reply is looked into; words in it cut the reply off."""
    insist_s: float = 1.5
    """So much voice cuts a reply off while the recogniser has said nothing about it."""
    stalled_s: float = 1.0
    """An utterance of which no more audio comes, not even silence, is over after about so long; 0
    for never."""
    no_speech_s: float = 30.0
    """A user who is silent for so long is asked gently, once; 0 for never."""


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


class Ear:
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
        """How long the last voiced frame of the utterance is past."""
        return _seconds(self._position - self._voiced_end)

    @property
    def voiced_s(self) -> float:
        """How long the utterance under way is without the silence at its end."""
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

    def hear(self, frame: bytes) -> Onset | None:
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


class PushToTalk:
    """The caller says when an utterance is over."""

    def __init__(self, detector: VoiceDetector, rules: ListeningRules) -> None:
        self._ear = Ear(detector, rules)
        self._held_bytes = 0

    def hear(self, pcm: bytes) -> Onset | None:
        """Take audio; return the onset if there is one; raises ServiceError at too much."""
        self._held_bytes += len(pcm)
        longest_s = self._ear.rules.longest_s
        if _seconds(self._held_bytes) > longest_s:
            raise refused(
                Reason.AUDIO_TOO_LONG,
                "audio.pcm",
                "max_duration",
                f"an utterance is at most {longest_s:g} seconds long",
            )
        onset = None
        for frame in self._ear.frames(pcm):
            onset = self._ear.hear(frame) or onset
        return onset

    def commit(self) -> Utterance | None:
        """Return the utterance, or None when no audio was held."""
        if not self._held_bytes:
            return None
        self._held_bytes = 0
        return self._ear.take()


def _seconds(size: int) -> float:
    return duration_s(size, LISTENING_RATE_HERTZ)


def _size(seconds: float) -> int:
    return byte_count(seconds, LISTENING_RATE_HERTZ)
