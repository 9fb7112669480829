"""What all vendors on the network share: the endpoint, the HTTP client, and how calls fail."""

import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Self

import httpx
from pydantic import SecretStr

from services.runtime.network.proxies import proxy_for
from services.speech.ports.errors import ProviderError, ProviderQuotaError
from services.speech.ports.stages import Stage
from services.speech.provider_settings import VendorSettings
from services.speech.streams import Deadlines
from services.speech.vendors.http.error_details import ErrorDetail, read_error, redacted

CONNECT_S = 5.0
WRITE_S = 20.0
REFUSAL_BYTES = 1 << 16
LONGEST_REST_S = 3_600.0
"""For no longer is a vendor left alone, whatever it asks."""
_SECONDS = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)
_UNSPECIFIC_STATUSES = (httpx.codes.BAD_REQUEST, httpx.codes.FORBIDDEN)
"""Some vendors refuse an account without money by these."""
_QUOTA_STATUSES = (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.PAYMENT_REQUIRED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a model is served, and through which proxy; None for none.

    `base_url` is the part that all paths of the API share.
    """

    name: str
    base_url: str
    api_key: SecretStr | None
    model: str
    deadlines: Deadlines
    proxy: str | None = None

    @classmethod
    def of(cls, settings: VendorSettings, deadlines: Deadlines) -> Self:
        """The endpoint of a vendor, through the proxy that the environment names for it."""
        return cls(
            name=settings.name,
            base_url=settings.base_url,
            api_key=settings.key,
            model=settings.model,
            deadlines=deadlines,
            proxy=proxy_for(settings.base_url, os.environ),
        )


def bearer(key: SecretStr | None) -> Mapping[str, str]:
    """Return the header that most vendors expect a key in."""
    return {} if key is None else {"authorization": f"Bearer {key.get_secret_value()}"}


@asynccontextmanager
async def open_client(
    endpoint: Endpoint, headers: Mapping[str, str] | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """A client for one endpoint; the provider itself enforces the deadlines of answers.

    The key goes into the header `authorization`, unless there are other headers to send.
    """
    # Imported only here: aiohttp takes a tenth of a second and 10 MB.
    from services.speech.vendors.http.transport import VendorTransport

    if headers is None:
        headers = bearer(endpoint.api_key)
    timeout = httpx.Timeout(None, connect=CONNECT_S, write=WRITE_S, pool=CONNECT_S)
    async with httpx.AsyncClient(
        base_url=endpoint.base_url,
        headers=headers,
        timeout=timeout,
        transport=VendorTransport.to(endpoint.base_url, proxy=endpoint.proxy),
    ) as client:
        yield client


@contextmanager
def provider_errors(stage: Stage, provider: str) -> Iterator[None]:
    """Turn transport failures into the error that ports promise, without their details."""
    try:
        yield
    except (httpx.TimeoutException, TimeoutError):
        raise ProviderError(stage, provider, "the provider is late", transient=True) from None
    except httpx.HTTPError as error:
        what = f"the connection failed: {type(error).__name__}"
        raise ProviderError(stage, provider, what, transient=True) from None
    except httpx.InvalidURL:
        what = "the base URL is not an address"
        raise ProviderError(stage, provider, what, transient=False) from None


async def read_refusal(response: httpx.Response) -> ErrorDetail | None:
    """Return what the body of an unsuccessful answer says; None for a success."""
    if response.is_success:
        return None
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > REFUSAL_BYTES:
            break
    return read_error(bytes(body))


def status_error(
    stage: Stage, endpoint: Endpoint, status: int, headers: Mapping[str, str], detail: ErrorDetail
) -> ProviderError:
    """Return the error for an answer whose status is not a success."""
    retry_after_s = retry_after(headers)
    what = f"the provider answers with status {status}"
    said = redacted(detail.message, endpoint.api_key)
    if status in _QUOTA_STATUSES or (status in _UNSPECIFIC_STATUSES and detail.is_quota):
        return ProviderQuotaError(
            stage, endpoint.name, what, vendor_message=said, retry_after_s=retry_after_s
        )
    is_transient = status == httpx.codes.REQUEST_TIMEOUT or status >= 500
    return ProviderError(
        stage,
        endpoint.name,
        what,
        transient=is_transient,
        vendor_message=said,
        retry_after_s=retry_after_s,
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of `Retry-After`; None without it, and for a date, which vendors avoid."""
    told = headers.get("retry-after", "").strip()
    return min(float(told), LONGEST_REST_S) if _SECONDS.fullmatch(told) else None


def malformed_answer(
    stage: Stage, endpoint: Endpoint, what: str, detail: ErrorDetail | None = None
) -> ProviderError:
    """Return the error for an answer that breaks the API's promises."""
    said = redacted(detail.message, endpoint.api_key) if detail else ""
    if detail is not None and detail.is_quota:
        what = "the quota is used up"
        return ProviderQuotaError(stage, endpoint.name, what, vendor_message=said)
    what = f"the answer is malformed: {what}"
    return ProviderError(stage, endpoint.name, what, transient=True, vendor_message=said)
