"""What all OpenAI-compatible endpoints share: the client, its deadlines, and their failures."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import httpx
from pydantic import SecretStr

from services.speech.ports import ProviderError, ProviderQuotaError, Stage
from services.speech.streams import Deadlines

CONNECT_S = 5.0
WRITE_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a model is served; `base_url` ends before `/chat`, `/audio`."""

    name: str
    base_url: str
    api_key: SecretStr | None
    model: str
    deadlines: Deadlines


@asynccontextmanager
async def open_client(endpoint: Endpoint) -> AsyncIterator[httpx.AsyncClient]:
    """A client for one endpoint; how long answers take is watched by the provider."""
    headers = {}
    if endpoint.api_key is not None:
        headers["authorization"] = f"Bearer {endpoint.api_key.get_secret_value()}"
    timeout = httpx.Timeout(None, connect=CONNECT_S, write=WRITE_S, pool=CONNECT_S)
    async with httpx.AsyncClient(
        base_url=endpoint.base_url, headers=headers, timeout=timeout
    ) as client:
        yield client


@contextmanager
def provider_errors(stage: Stage, provider: str) -> Iterator[None]:
    """Turn what goes wrong on the way into the error that ports promise, without its details."""
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


def check_status(response: httpx.Response, stage: Stage, provider: str) -> None:
    """Raise ProviderError unless the answer is a success."""
    status = response.status_code
    if response.is_success:
        return
    what = f"the provider answers with status {status}"
    if status == httpx.codes.TOO_MANY_REQUESTS:
        raise ProviderQuotaError(stage, provider, what)
    is_transient = status == httpx.codes.REQUEST_TIMEOUT or status >= 500
    raise ProviderError(stage, provider, what, transient=is_transient)


def malformed(stage: Stage, provider: str, what: str) -> ProviderError:
    """Return the error for an answer that is not what the API promises."""
    return ProviderError(stage, provider, f"the answer is malformed: {what}", transient=True)
