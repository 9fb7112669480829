"""Bundles the small messages of a microphone into fewer, without delaying what matters."""

import asyncio
from collections.abc import Callable

from gateway.decoding.decoder import RATE_HERTZ
from services.runtime.pcm import byte_count, duration_s, root_mean_square

ONSET_BYTES = byte_count(0.12, RATE_HERTZ)
BUNDLE_BYTES = byte_count(0.2, RATE_HERTZ)

SMALL_BUNDLE_BYTES = byte_count(0.04, RATE_HERTZ)
MEASURED_BYTES = byte_count(0.06, RATE_HERTZ)
"""How much audio is measured at a time while nothing is decided."""

SILENT_BUNDLE_BYTES = byte_count(1.0, RATE_HERTZ)
"""The size of a bundle while nobody speaks and a `commit` ends utterances."""

LATE_S = 0.1
"""How much later than it would be full a bundle is passed on, if nothing more arrives."""

QUIETEST = 75.0
"""A level, the root mean square of samples up to 32768, that is silence in any room."""

LOUD_FACTOR = 3.0
FLOOR_GROWTH = 1.28
"""The factor by which the room's noise floor may rise per second; it falls at once."""

ONSET_PAUSE_BYTES = byte_count(0.2, RATE_HERTZ)
"""Sound after this much quiet is an onset."""

PAUSE_BYTES = byte_count(0.1, RATE_HERTZ)
FINISHED_BYTES = byte_count(0.5, RATE_HERTZ)
UNFINISHED_BYTES = byte_count(1.5, RATE_HERTZ)
"""After this much quiet, speech ends a finished utterance, and an unfinished one."""

WORDS_BYTES = byte_count(1.0, RATE_HERTZ)
"""After this much quiet, a recognizer has returned all the words before it."""


class AudioBundler:
    """Passes audio on in bundles of up to 200 ms: each of 50 messages a second would cost a hop.

    Audio that speech decides on is not held back. At an onset (the first 120 ms of sound) it is
    passed on at once: speech detects an interruption there. Where an utterance may end (from 100 ms
    of quiet on) it is passed on at once up to 500 ms, when finished sentences are ended, and every
    40 ms up to 1.5 s, when unfinished ones are: their end is detected 20 ms late, after a wait of a
    second. In between, in running speech and in a quiet room, nothing is decided: bundles are full,
    and measured 60 ms at a time. Loud and quiet differ by the level over the room's noise floor;
    where that errs, as in noise that has just begun, the delay is a bundle's 180 ms.

    When utterances end by `commit`, only onsets matter before it, and that words are shown while
    they are spoken: all other bundles are full, with a second of audio once nobody has spoken for a
    second. The flush before the `commit` leaves no delay; a voice that is too soft to be
    distinguished from the room is noticed up to a second late.
    """

    def __init__(self, pass_on: Callable[[bytes], None], *, ends_by_silence: bool) -> None:
        self._pass_on = pass_on
        self._ends_by_silence = ends_by_silence
        self._held = bytearray()
        self._most_bytes = BUNDLE_BYTES
        """How much may be held, given the audio so far."""

        self._unmeasured_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._floor = QUIETEST
        self._loud_bytes = 0
        self._quiet_bytes = ONSET_PAUSE_BYTES

    def push(self, pcm: bytes) -> None:
        """Take whole samples."""
        self._held += pcm
        self._unmeasured_bytes += len(pcm)
        if self._unmeasured_bytes >= min(MEASURED_BYTES, self._most_bytes):
            self._measure()
        if len(self._held) >= self._most_bytes:
            self.flush()
        elif self._timer is None:
            full_s = duration_s(self._most_bytes, RATE_HERTZ)
            self._timer = asyncio.get_running_loop().call_later(full_s + LATE_S, self.flush)

    def flush(self) -> None:
        """Pass on what is held."""
        self._stop_timer()
        if self._unmeasured_bytes:
            self._measure()
        if self._held:
            self._pass_on(bytes(self._held))
            self._held.clear()

    def end_utterance(self) -> None:
        """Pass on what is held; the next sound is an onset, and no words are to come before it."""
        self.flush()
        self._quiet_bytes = WORDS_BYTES
        self._most_bytes = self._allowed_bytes()

    def close(self) -> None:
        """Drop what is held."""
        self._stop_timer()

    def _measure(self) -> None:
        """Classify the audio since the last time as loud or quiet."""
        span_bytes, self._unmeasured_bytes = self._unmeasured_bytes, 0
        level = root_mean_square(self._held[-span_bytes:])
        growth = FLOOR_GROWTH ** duration_s(span_bytes, RATE_HERTZ)
        self._floor = max(QUIETEST, min(level, self._floor * growth))
        if level > LOUD_FACTOR * self._floor:
            if self._quiet_bytes >= ONSET_PAUSE_BYTES:
                self._loud_bytes = 0
            self._quiet_bytes = 0
            self._loud_bytes += span_bytes
        else:
            self._quiet_bytes += span_bytes
        self._most_bytes = self._allowed_bytes()

    def _allowed_bytes(self) -> int:
        if not self._quiet_bytes:
            return 0 if self._loud_bytes <= ONSET_BYTES else BUNDLE_BYTES
        if not self._ends_by_silence:
            return BUNDLE_BYTES if self._quiet_bytes < WORDS_BYTES else SILENT_BUNDLE_BYTES
        if not PAUSE_BYTES <= self._quiet_bytes <= UNFINISHED_BYTES:
            return BUNDLE_BYTES
        return 0 if self._quiet_bytes <= FINISHED_BYTES else SMALL_BUNDLE_BYTES

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
