"""The providers of one stage in order: when one fails to begin, the next takes over."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import zip_longest
from typing import Generic, Protocol, TypeVar

import structlog

from services.runtime.telemetry.tracing import record
from services.speech.ports.errors import ProviderError, ProviderMuteError, ProviderQuotaError
from services.speech.ports.stages import Stage
from services.speech.providers.failover.breaker import Breaker, OutageRules, State
from services.speech.streams import closing
from services.speech.telemetry.metrics import PROVIDER_CALLS, PROVIDER_FAILOVERS

log = structlog.get_logger(__name__)


class Named(Protocol):
    """What all providers have in common."""

    @property
    def name(self) -> str:
        """The provider's name in logs and metrics."""


P = TypeVar("P", bound=Named)
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class FailoverRules:
    """When the next provider is asked: after an error, or after `first_byte_s` of silence."""

    first_byte_s: float
    outage: OutageRules = field(default_factory=OutageRules)


class RequestOutcome(StrEnum):
    """The outcome of a request to a provider."""

    ANSWERED = "answered"
    LATE = "late"
    MUTE = "mute"
    QUOTA = "quota"
    UNAVAILABLE = "unavailable"
    REFUSED = "refused"
    OUT = "out"
    """It was not asked, as it is known to be out."""


class Relay(Generic[P]):
    """Asks the providers that are not out in turn, each at most once per request.

    `first_byte_s` does not apply to the last one: nobody could take over, and it has deadlines of
    its own.
    """

    def __init__(self, stage: Stage, providers: Sequence[P], rules: FailoverRules) -> None:
        self.providers = tuple(providers)
        self._stage = stage
        self._rules = rules
        self._breakers = {
            provider.name: Breaker(stage, provider.name, rules.outage) for provider in providers
        }

    @property
    def name(self) -> str:
        """The names of all providers."""
        return "+".join(self._breakers)

    async def relay(
        self,
        ask: Callable[[P, float | None], AsyncIterator[T]],
        *,
        is_delivery: Callable[[T], bool] = lambda _: True,
        suits: Callable[[P], bool] = lambda _: True,
    ) -> AsyncIterator[T]:
        """Yield one provider's answer; raises ProviderError.

        `ask` gets the provider and how long its first item may take, and raises TimeoutError when
        it takes longer. Once a delivery has been yielded, no other provider takes over.
        """
        suitable = [provider for provider in self.providers if suits(provider)]
        asked = [each for each in suitable if self._breaker(each).state is State.CLOSED]
        if not asked:
            what = "every provider is out"
            raise ProviderError(self._stage, suitable[0].name, what, transient=True)
        if asked[0] is not suitable[0]:
            self._count_failover(suitable[0], asked[0], RequestOutcome.OUT)
        for provider, successor in zip_longest(asked, asked[1:]):
            asked_at = time.monotonic()
            patience_s = self._rules.first_byte_s if successor else None
            is_delivered = False
            try:
                async with closing(ask(provider, patience_s)) as items:
                    async for item in items:
                        is_delivered = is_delivered or is_delivery(item)
                        yield item
            except (GeneratorExit, asyncio.CancelledError):
                if is_delivered:
                    self._record_call(provider, RequestOutcome.ANSWERED, asked_at)
                raise
            except (ProviderError, TimeoutError) as failure:
                outcome, error = outcome_of(failure), self._as_error(failure, provider)
            else:
                self._record_call(provider, RequestOutcome.ANSWERED, asked_at)
                return
            self._record_call(provider, outcome, asked_at, retry_after_s=error.retry_after_s)
            if is_delivered or successor is None:
                raise error
            log.warning(
                "provider fails, next is asked",
                stage=self._stage,
                provider=provider.name,
                next_provider=successor.name,
                outcome=outcome,
                error=str(error),
                vendor_message=error.vendor_message,
            )
            self._count_failover(provider, successor, outcome)

    @asynccontextmanager
    async def probed(self, probe: Callable[[P], Awaitable[None]]) -> AsyncIterator[None]:
        """Probe providers that are out until the context is left.

        `probe` makes a small request, and raises ProviderError when it fails.
        """
        probing = [asyncio.create_task(self._probe(each, probe)) for each in self.providers]
        try:
            yield
        finally:
            for task in probing:
                task.cancel()
            await asyncio.gather(*probing, return_exceptions=True)

    async def _probe(self, provider: P, probe: Callable[[P], Awaitable[None]]) -> None:
        breaker = self._breaker(provider)
        while True:
            await asyncio.sleep(await breaker.outage())
            breaker.begin_probe()
            is_answered, retry_after_s = False, None
            try:
                async with asyncio.timeout(self._rules.first_byte_s):
                    await probe(provider)
                is_answered = True
            except ProviderError as error:
                retry_after_s = error.retry_after_s
            except TimeoutError:
                pass  # The breaker logs what follows.
            except Exception:
                log.exception("probe failed unexpectedly", provider=provider.name)
            breaker.end_probe(is_answered=is_answered, retry_after_s=retry_after_s)

    def _breaker(self, provider: P) -> Breaker:
        return self._breakers[provider.name]

    def _record_call(
        self,
        provider: P,
        outcome: RequestOutcome,
        asked_at: float,
        *,
        retry_after_s: float | None = None,
    ) -> None:
        now = time.time()  # noqa: TID251  # spans are placed by it, not measured
        record(
            f"{self._stage} by {provider.name}",
            start_s=now - (time.monotonic() - asked_at),
            end_s=now,
            attributes={"parley.outcome": outcome.value},
        )
        PROVIDER_CALLS.labels(self._stage, provider.name, outcome).inc()
        if outcome is RequestOutcome.ANSWERED:
            self._breaker(provider).succeed()
        else:
            self._breaker(provider).fail(retry_after_s)

    def _as_error(self, failure: ProviderError | TimeoutError, provider: P) -> ProviderError:
        if isinstance(failure, ProviderError):
            return failure
        what = "the provider is late"
        return ProviderError(self._stage, provider.name, what, transient=True)

    def _count_failover(self, provider: P, successor: P, outcome: RequestOutcome) -> None:
        PROVIDER_FAILOVERS.labels(self._stage, provider.name, successor.name, outcome).inc()


def outcome_of(failure: ProviderError | TimeoutError) -> RequestOutcome:
    """Return the outcome of a request that failed like this."""
    match failure:
        case ProviderQuotaError():
            return RequestOutcome.QUOTA
        case ProviderMuteError():
            return RequestOutcome.MUTE
        case ProviderError(transient=True):
            return RequestOutcome.UNAVAILABLE
        case ProviderError():
            return RequestOutcome.REFUSED
    return RequestOutcome.LATE
