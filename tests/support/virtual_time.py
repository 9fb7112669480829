"""An event loop whose clock jumps to the next timer when nothing else is to be done."""

import asyncio
import selectors
from typing import Any


class _ImpatientSelector(selectors.DefaultSelector):
    """Never waits: the loop's clock goes on instead by the time that it would have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.passed_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("deadlock: everything waits for something that cannot happen")
        if not ready and timeout:
            self.passed_s += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """For tests without sockets and threads; a deadlock is an error at once."""

    def __init__(self) -> None:
        self._impatient = _ImpatientSelector()
        super().__init__(self._impatient)

    def time(self) -> float:
        """Seconds, virtual."""
        return self._impatient.passed_s


class VirtualTimePolicy(asyncio.DefaultEventLoopPolicy):
    """Makes such loops."""

    def new_event_loop(self) -> Any:
        """Return a loop with a clock of its own, at zero."""
        return VirtualTimeLoop()
