"""How an HTTP client reaches a server that may not be ours."""

import ssl

import httpx


def transport_to(url: str, *, proxy: str | None, idle_s: float = 5.0) -> httpx.AsyncHTTPTransport:
    """Return a transport for the server at a URL, through a proxy or directly.

    A connection serves the next request that comes within `idle_s`.

    A client with a transport does not look for proxies itself. With TLS, SSL_CERT_FILE and
    SSL_CERT_DIR are read; raises OSError if they cannot be. Without it no authority is read, which
    takes 20 ms, and none is trusted.
    """
    has_tls = url.startswith("https:")
    limits = httpx.Limits(
        max_connections=100, max_keepalive_connections=20, keepalive_expiry=idle_s
    )
    return httpx.AsyncHTTPTransport(
        verify=True if has_tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        proxy=proxy,
        trust_env=has_tls,
        limits=limits,
    )
