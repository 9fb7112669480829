"""Whom the engine believes that a server is the one it was asked for."""

import ssl
from functools import cache

import httpx


@cache
def authorities() -> ssl.SSLContext:
    """Return what all clients verify servers with; to read it takes 20 ms."""
    return httpx.create_ssl_context(trust_env=False)
