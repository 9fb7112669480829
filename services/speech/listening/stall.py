"""Notices that a stream's audio has stopped: muted, paused, or lost on the way."""

import asyncio
from collections.abc import Callable

MOST_AHEAD_S = 1.5
GRACE_S = 0.1
"""Audio that came in time may still be unread when a busy process checks the clock."""


class StallTimer:
    """Waits for the next audio: for `stalled_s`, and for as long as the audio that came lasts.

    A client that sends one second at a time has nothing to send for a second after each.
    """

    def __init__(self, *, stalled_s: float, on_stall: Callable[[], None]) -> None:
        """`on_stall` is called once each time the audio stops."""
        self._stalled_s = stalled_s
        self._on_stall = on_stall
        self._timer: asyncio.TimerHandle | None = None
        self._ahead_s = 0.0
        self._heard_at = 0.0

    def note(self, seconds: float) -> None:
        """So much audio has come; more is expected."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        left_s = max(0.0, self._ahead_s - (now - self._heard_at))
        self._ahead_s = min(MOST_AHEAD_S, left_s + seconds)
        self._heard_at = now
        self.close()
        self._timer = loop.call_later(self._stalled_s + self._ahead_s, self._suspect)

    def close(self) -> None:
        """Expect nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _suspect(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(GRACE_S, self._on_stall)
