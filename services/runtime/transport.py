"""How an HTTP client reaches a server that may not be ours."""

import httpx


def transport_to(url: str, *, proxy: str | None) -> httpx.AsyncHTTPTransport:
    """Return a transport for the server at a URL, through a proxy or directly.

    A client with a transport does not look for proxies itself. With TLS, SSL_CERT_FILE and
    SSL_CERT_DIR are read; raises OSError if they cannot be.
    """
    return httpx.AsyncHTTPTransport(proxy=proxy, trust_env=url.startswith("https:"))
