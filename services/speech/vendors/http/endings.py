"""Reads streamed answers to their end, so that the connection serves the next request."""

import asyncio
from collections.abc import AsyncIterator

import httpx

END_S = 0.5
"""How long the end of an answer may take from its last event; most send both at once."""


class Endings:
    """Remembers whether a vendor's answers end: some never do, and their connections are closed."""

    def __init__(self) -> None:
        self._are_awaited = True

    async def read(self, pieces: AsyncIterator[bytes]) -> None:
        """Read what is left of an answer that says nothing more."""
        if not self._are_awaited:
            return
        try:
            async with asyncio.timeout(END_S):
                async for _ in pieces:
                    pass
        except (httpx.HTTPError, TimeoutError):
            self._are_awaited = False
