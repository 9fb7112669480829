"""How an HTTP client reaches a server that may not be ours."""

import httpx


def transport_to(url: str, *, proxy: str | None, idle_s: float = 5.0) -> httpx.AsyncHTTPTransport:
    """Return a transport for the server at a URL, through a proxy or directly.

    A connection serves the next request that comes within `idle_s`.

    A client with a transport does not look for proxies itself. With TLS, SSL_CERT_FILE and
    SSL_CERT_DIR are read; raises OSError if they cannot be.
    """
    limits = httpx.Limits(
        max_connections=100, max_keepalive_connections=20, keepalive_expiry=idle_s
    )
    return httpx.AsyncHTTPTransport(proxy=proxy, trust_env=url.startswith("https:"), limits=limits)
