"""A circuit breaker: a provider that is known to be out is not asked."""

import asyncio
from dataclasses import dataclass
from enum import StrEnum

import structlog

from services.speech.ports.stages import Stage
from services.speech.telemetry.metrics import PROVIDER_STATE

log = structlog.get_logger(__name__)


class State(StrEnum):
    """The state of a provider."""

    CLOSED = "closed"
    """It works, and is asked."""
    OPEN = "open"
    """It is out, and is not asked."""
    HALF_OPEN = "half_open"
    """It is out, and a probe is checking whether it still is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageRules:
    """When an outage begins, and how often it is probed; durations in seconds."""

    tries: int = 2
    """Failures in a row that make an outage; an answer resets the count."""
    first_probe_s: float = 2.0
    """From the start of an outage to the first probe."""
    longest_probe_s: float = 60.0
    """Each failed probe doubles the wait for the next, up to this."""


class Breaker:
    """Owns the state of one provider.

    Only a probe closes the breaker, as no request reaches the provider while it is open. The
    provider then has all its tries again.
    """

    def __init__(self, stage: Stage, provider: str, rules: OutageRules) -> None:
        self._stage = stage
        self._provider = provider
        self._rules = rules
        self._tries = rules.tries
        self._probe_s = rules.first_probe_s
        self._rest_s = 0.0
        self._opened = asyncio.Event()
        self._state = State.CLOSED
        self._show()

    @property
    def state(self) -> State:
        """The provider's state."""
        return self._state

    def succeed(self) -> None:
        """The provider answered a user's request."""
        if self._state is State.CLOSED:
            self._tries = self._rules.tries
            self._probe_s = self._rules.first_probe_s

    def fail(self, retry_after_s: float | None = None) -> None:
        """The provider failed a user's request; during an outage this changes nothing.

        One that asks to be left alone for so long is out at once, and not probed before.
        """
        if self._state is not State.CLOSED:
            return
        self._rest_s = retry_after_s or 0.0
        self._tries = 0 if retry_after_s else self._tries - 1
        if self._tries == 0:
            self._enter(State.OPEN)
            self._opened.set()

    async def outage(self) -> float:
        """Wait for an outage; return the seconds until the next probe."""
        await self._opened.wait()
        return max(self._probe_s, self._rest_s)

    def begin_probe(self) -> None:
        """A probe has started."""
        self._enter(State.HALF_OPEN)

    def end_probe(self, *, is_answered: bool, retry_after_s: float | None = None) -> None:
        """A probe has ended; one that failed may say for how long to make no other.

        The wait for the next one doubles even if this one was answered: only an answer to a user
        proves that the outage is over, and a provider that answers only probes is asked rarely.
        """
        self._probe_s = min(2 * self._probe_s, self._rules.longest_probe_s)
        self._rest_s = retry_after_s or 0.0
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
