"""How providers fail."""

from services.speech.ports.stages import Stage


class ProviderError(Exception):
    """A provider failed; `transient` says whether the same call may succeed later.

    `vendor_message` is the vendor's own message, shortened and without keys, for the log only.
    `retry_after_s` is how long the vendor asks to be left alone, None where it does not say.
    """

    def __init__(
        self,
        stage: Stage,
        provider: str,
        message: str,
        *,
        transient: bool,
        vendor_message: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.stage = stage
        self.provider = provider
        self.transient = transient
        self.vendor_message = vendor_message
        self.retry_after_s = retry_after_s


class _TransientError(ProviderError):
    """A failure that is always transient."""

    def __init__(
        self,
        stage: Stage,
        provider: str,
        message: str,
        *,
        vendor_message: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(
            stage,
            provider,
            message,
            transient=True,
            vendor_message=vendor_message,
            retry_after_s=retry_after_s,
        )


class ProviderQuotaError(_TransientError):
    """A provider refuses more work for now: its quota or rate limit is used up."""


class ProviderMuteError(_TransientError):
    """A provider succeeded without producing anything where it had to."""
