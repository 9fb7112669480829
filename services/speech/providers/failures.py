"""Provider failures as published reasons."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import RULES, Reason
from services.speech.ports.errors import ProviderError, ProviderQuotaError
from services.speech.ports.stages import Stage

log = structlog.get_logger(__name__)

_UNAVAILABLE = {
    Stage.RECOGNITION: Reason.RECOGNITION_UNAVAILABLE,
    Stage.CHAT: Reason.CHAT_UNAVAILABLE,
    Stage.SYNTHESIS: Reason.SYNTHESIS_UNAVAILABLE,
}


def provider_failure(error: ProviderError) -> ServiceError:
    """Return the error for the client; the provider's own words are only logged."""
    log.warning(
        "provider failed",
        stage=error.stage,
        provider=error.provider,
        error=str(error),
        transient=error.transient,
        vendor_message=error.vendor_message,
    )
    match error:
        case ProviderQuotaError():
            reason = Reason.PROVIDER_QUOTA_EXCEEDED
        case ProviderError(transient=True):
            reason = _UNAVAILABLE[error.stage]
        case _:
            reason = Reason.PROVIDER_MISCONFIGURED
    return ServiceError(
        reason, f"{RULES[reason].title}.", stage=error.stage, provider=error.provider
    )


@contextmanager
def provider_failures() -> Iterator[None]:
    """Raise a ProviderError of the block as the ServiceError that a caller may see."""
    try:
        yield
    except ProviderError as error:
        raise provider_failure(error) from error


def provider_late(stage: Stage, provider: str) -> ServiceError:
    """Return the error for a provider that does not answer in time."""
    late = ProviderError(stage, provider, "the provider is late", transient=True)
    return provider_failure(late)
