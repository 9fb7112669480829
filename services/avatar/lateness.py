"""How late news from the cloud is, without a clock that both sides share."""

from collections import deque

_REMEMBERED = 64


class Lateness:
    """Compares each report with the quickest lately.

    What lies between an event and its report is the difference of the clocks, the quickest way, and
    what held this report up; only the last differs from report to report.
    """

    def __init__(self) -> None:
        self._lags: deque[float] = deque(maxlen=_REMEMBERED)

    def of(self, *, event_time_s: float, received_s: float) -> float:
        """Return how much later than the quickest a report is; times in Unix seconds."""
        lag_s = received_s - event_time_s
        self._lags.append(lag_s)
        return lag_s - min(self._lags)
