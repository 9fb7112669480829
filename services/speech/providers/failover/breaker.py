"""Whether a provider is asked at all: it is not while it is known to be out."""

import asyncio
from dataclasses import dataclass
from enum import StrEnum

import structlog

from services.speech.ports import Stage
from services.speech.telemetry.metrics import PROVIDER_STATE

log = structlog.get_logger(__name__)


class State(StrEnum):
    """How a provider stands."""

    CLOSED = "closed"
    """It is asked."""
    OPEN = "open"
    """It is out and left alone."""
    HALF_OPEN = "half_open"
    """It is out, and a probe finds out whether it still is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageRules:
    """What an outage may cost; durations in seconds."""

    tries: int = 2
    """So many failures in a row are an outage; one answer makes them good."""
    first_probe_s: float = 2.0
    """From the beginning of an outage to the first probe."""
    longest_probe_s: float = 60.0
    """Each probe that fails doubles the wait for the next one up to this."""


class Breaker:
    """Owns the state of one provider: only this class changes it.

    Users' requests close nothing: while the breaker is open there are none. A probe does, and gives
    the provider all its tries again.
    """

    def __init__(self, stage: Stage, provider: str, rules: OutageRules) -> None:
        self._stage = stage
        self._provider = provider
        self._rules = rules
        self._tries = rules.tries
        self._probe_s = rules.first_probe_s
        self._opened = asyncio.Event()
        self._state = State.CLOSED
        self._show()

    @property
    def state(self) -> State:
        """How the provider stands."""
        return self._state

    def succeed(self) -> None:
        """The provider has answered a user's request."""
        if self._state is State.CLOSED:
            self._tries = self._rules.tries
            self._probe_s = self._rules.first_probe_s

    def fail(self) -> None:
        """The provider has failed a user's request; what was asked before an outage is no news."""
        if self._state is not State.CLOSED:
            return
        self._tries -= 1
        if self._tries == 0:
            self._enter(State.OPEN)
            self._opened.set()

    async def outage(self) -> float:
        """Wait for an outage; return how long to wait until the next probe."""
        await self._opened.wait()
        return self._probe_s

    def begin_probe(self) -> None:
        """A probe is on its way."""
        self._enter(State.HALF_OPEN)

    def end_probe(self, *, is_answered: bool) -> None:
        """A probe is back.

        The wait for the next one is doubled even if it was answered: only a user's answer proves
        that the outage is over, and a provider that answers nothing but probes is asked rarely.
        """
        self._probe_s = min(2 * self._probe_s, self._rules.longest_probe_s)
        if is_answered:
            self._tries = self._rules.tries
            self._opened.clear()
            self._enter(State.CLOSED)
        else:
            self._enter(State.OPEN)

    def _enter(self, state: State) -> None:
        log.warning(
            "provider state changed",
            stage=self._stage,
            provider=self._provider,
            state=state,
            before=self._state,
        )
        self._state = state
        self._show()

    def _show(self) -> None:
        for state in State:
            gauge = PROVIDER_STATE.labels(self._stage, self._provider, state)
            gauge.set(state is self._state)
