"""How an HTTP client reaches a server that may not be ours."""

import httpx


def transport_to(url: str, *, proxy: str | None) -> httpx.AsyncHTTPTransport:
    """Return a transport for the server at a URL, through a proxy or directly.

    A client that is given one looks for no proxies of its own. SSL_CERT_FILE and SSL_CERT_DIR are
    read where there is TLS; raises OSError when they name what cannot be read.
    """
    return httpx.AsyncHTTPTransport(proxy=proxy, trust_env=url.startswith("https:"))
