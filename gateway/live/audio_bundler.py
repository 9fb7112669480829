"""Gathers the small messages of a microphone into fewer, without delaying what matters."""

import asyncio
import math
from collections.abc import Callable

import numpy as np

from gateway.decoding.decoder import RATE_HERTZ
from services.runtime.pcm import byte_count, duration_s

ONSET_BYTES = byte_count(0.12, RATE_HERTZ)
BUNDLE_BYTES = byte_count(0.2, RATE_HERTZ)
COMMITTED_BYTES = byte_count(0.8, RATE_HERTZ)
"""A bundle where a `commit` decides."""

SMALL_BUNDLE_BYTES = byte_count(0.04, RATE_HERTZ)
GLANCE_BYTES = byte_count(0.06, RATE_HERTZ)
"""How much is listened to at a time where nothing is decided."""

HELD_S = 0.3
"""Held audio goes on after so long at the latest, also when nothing more comes."""

COMMITTED_HELD_S = 1.0

QUIETEST = 75.0
"""A level, the root mean square of samples up to 32768, that is silence whatever the room."""

LOUD_FACTOR = 3.0
FLOOR_GROWTH = 1.28
"""So much may the room's noise floor rise in a second; it falls at once."""

NEW_BYTES = byte_count(0.2, RATE_HERTZ)
"""Sound after so much quiet is a new beginning."""

PAUSE_BYTES = byte_count(0.1, RATE_HERTZ)
FINISHED_BYTES = byte_count(0.5, RATE_HERTZ)
UNFINISHED_BYTES = byte_count(1.5, RATE_HERTZ)
"""Quiet from which speech looks for the end of what was said, and up to which it finds it."""

_PCM16 = np.dtype("<i2")


class AudioBundler:
    """Passes audio on in bundles of up to 200 ms: at 50 messages a second each would cost a hop.

    What speech decides on is not held back. Where sound begins (the first 120 ms), it goes on at
    once: an interruption is noticed there. Where the end of an utterance may be (quiet from 100 ms
    on), it goes on at once up to 500 ms, when finished sentences are ended, and in 40 ms up to
    1.5 s, when unfinished ones are: their end is found 20 ms late, after a wait of a second.
    In between, in running speech and in a quiet room, nothing is decided: bundles are full, and
    listened to 60 ms at a time. Loud and quiet are told apart by the level over the room's noise
    floor; where that errs, as in noise that has just begun, a bundle's 180 ms are the delay.

    Where utterances end by `commit` nothing is decided before that, but for where sound begins:
    bundles have 800 ms, and the flush before the `commit` leaves no delay at all.
    """

    def __init__(self, pass_on: Callable[[bytes], None], *, ends_by_silence: bool) -> None:
        self._pass_on = pass_on
        self._ends_by_silence = ends_by_silence
        self._bundle_bytes = BUNDLE_BYTES if ends_by_silence else COMMITTED_BYTES
        self._held_s = HELD_S if ends_by_silence else COMMITTED_HELD_S
        self._held = bytearray()
        self._most_bytes = self._bundle_bytes
        """How much may be held after the audio so far."""

        self._unheard_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._floor = QUIETEST
        self._loud_bytes = 0
        self._quiet_bytes = NEW_BYTES

    def push(self, pcm: bytes) -> None:
        """Take whole samples."""
        self._held += pcm
        self._unheard_bytes += len(pcm)
        if self._unheard_bytes >= min(GLANCE_BYTES, self._most_bytes):
            self._listen()
        if len(self._held) >= self._most_bytes:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._held_s, self.flush)

    def flush(self) -> None:
        """Pass on what is held."""
        self._stop_timer()
        if self._unheard_bytes:
            self._listen()
        if self._held:
            self._pass_on(bytes(self._held))
            self._held.clear()

    def end_utterance(self) -> None:
        """Pass on what is held; what comes next is a new beginning."""
        self.flush()
        self._quiet_bytes = NEW_BYTES

    def close(self) -> None:
        """Pass nothing on any more."""
        self._stop_timer()

    def _listen(self) -> None:
        """Tell loud from quiet in what came since the last time."""
        span_bytes, self._unheard_bytes = self._unheard_bytes, 0
        samples = np.frombuffer(self._held[-span_bytes:], _PCM16).astype(np.float32)
        level = math.sqrt(np.dot(samples, samples) / len(samples))
        growth = FLOOR_GROWTH ** duration_s(span_bytes, RATE_HERTZ)
        self._floor = max(QUIETEST, min(level, self._floor * growth))
        if level > LOUD_FACTOR * self._floor:
            if self._quiet_bytes >= NEW_BYTES:
                self._loud_bytes = 0
            self._quiet_bytes = 0
            self._loud_bytes += span_bytes
        else:
            self._quiet_bytes += span_bytes
        self._most_bytes = self._patience_bytes()

    def _patience_bytes(self) -> int:
        if not self._quiet_bytes:
            return 0 if self._loud_bytes <= ONSET_BYTES else self._bundle_bytes
        if not self._ends_by_silence or not PAUSE_BYTES <= self._quiet_bytes <= UNFINISHED_BYTES:
            return self._bundle_bytes
        return 0 if self._quiet_bytes <= FINISHED_BYTES else SMALL_BUNDLE_BYTES

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
