"""How late the cloud's reports are, without a shared clock."""

from collections import deque

_REMEMBERED = 64


class Lateness:
    """Compares each report with the fastest recent one.

    The time between an event and its report is the difference of the clocks, plus the shortest
    delay, plus what held up this report; only the last differs from report to report.
    """

    def __init__(self) -> None:
        self._lags: deque[float] = deque(maxlen=_REMEMBERED)

    def of(self, *, event_time_s: float, received_s: float) -> float:
        """Return how much later than the fastest a report is; times are Unix seconds."""
        lag_s = received_s - event_time_s
        self._lags.append(lag_s)
        return lag_s - min(self._lags)
