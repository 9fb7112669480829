"""Whom the engine trusts where it is a client of others."""

import functools
import ssl

import httpx


@functools.cache
def authorities() -> ssl.SSLContext:
    """Return the context of all clients: to read the authorities takes longer than a call."""
    return httpx.create_ssl_context(trust_env=False)
