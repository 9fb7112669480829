"""Opens a connection to a gateway: at which address, with which key, for which tenant."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from parley.gateway_client.answers import GatewayError
from parley.gateway_client.gateway import Gateway, headers_of
from services.runtime.network.proxies import ProxyError, proxy_for
from services.runtime.network.transport import transport_to

_CALL_TIMEOUT_S = 60.0


def address(text: str) -> str:
    """Return an address with a scheme; `localhost:8080` means HTTP."""
    return text if "://" in text else f"http://{text}"


def key_of(environment: Mapping[str, str]) -> str | None:
    """Return the first of GATEWAY_API_KEYS, which may stand in a file; raises GatewayError."""
    keys = environment.get("GATEWAY_API_KEYS", "")
    if not keys and (path := environment.get("GATEWAY_API_KEYS_FILE")):
        try:
            keys = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise GatewayError("GATEWAY_API_KEYS_FILE cannot be read") from None
    return keys.partition(",")[0].strip() or None


@asynccontextmanager
async def gateway_at(
    url: str, api_key: str | None, *, tenant_id: str | None = None
) -> AsyncIterator[Gateway]:
    """Open a connection to a gateway, to act for a tenant; by default for that of the key."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    headers |= headers_of(tenant_id)
    try:
        transport = transport_to(url, proxy=proxy_for(url, os.environ))
        client = httpx.AsyncClient(
            base_url=url, headers=headers, timeout=_CALL_TIMEOUT_S, transport=transport
        )
    except ProxyError as error:
        raise GatewayError(str(error)) from None
    except OSError:
        raise GatewayError("SSL_CERT_FILE or SSL_CERT_DIR cannot be read") from None
    except (httpx.InvalidURL, ValueError) as error:
        raise GatewayError(f"{url} is not an address: use http://HOST:PORT") from error
    async with client:
        yield Gateway(client)
