"""The keys that an identity provider publishes (JWKS), from a file or an address."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.runtime.network.proxies import proxy_for
from services.runtime.network.transport import transport_to

log = structlog.get_logger(__name__)

FRESH_S = 300.0
"""How long keys are used without asking for newer ones."""

PAUSE_S = 10.0
"""Between two attempts, whatever tokens claim to be signed with."""

FETCH_S = 5.0
LARGEST_BYTES = 256 * 1024

Read = Callable[[], Awaitable[bytes]]


class PublishedKeys:
    """Keeps the keys; those that there are serve on while newer ones cannot be had."""

    def __init__(self, read: Read, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._keys: KeySet | None = None
        self._asked_at = float("-inf")
        self._asking = asyncio.Lock()

    async def current(self) -> KeySet:
        """Return the keys; raises ServiceError DEPENDENCY_UNAVAILABLE when there are none.

        While newer ones are asked for, those that there are serve on.
        """
        if self._keys is None or (self._age_s >= FRESH_S and not self._asking.locked()):
            await self._ask_again()
        if self._keys is None:
            raise ServiceError(
                Reason.DEPENDENCY_UNAVAILABLE, "Users' tokens cannot be checked at the moment."
            )
        return self._keys

    async def with_id(self, kid: str) -> KeySet:
        """Return the keys, asked for anew if none of them has the id."""
        keys = await self.current()
        if all(key.kid != kid for key in keys):
            await self._ask_again()
        return await self.current()

    @property
    def _age_s(self) -> float:
        return self._clock() - self._asked_at

    async def _ask_again(self) -> None:
        """Ask for the keys, unless somebody has just done so."""
        async with self._asking:
            if self._age_s < PAUSE_S:
                return
            self._asked_at = self._clock()
            try:
                self._keys = _public(await self._read())
            except (OSError, httpx.HTTPError, JoseError, ValueError, TypeError, KeyError) as error:
                log.warning("keys of users' tokens not read", error=type(error).__name__)


@asynccontextmanager
async def published_keys(location: str) -> AsyncIterator[PublishedKeys]:
    """Open the keys at an HTTP(S) address or in a file."""
    if "://" not in location:
        path = Path(location)
        yield PublishedKeys(lambda: asyncio.to_thread(path.read_bytes))
        return
    transport = transport_to(location, proxy=proxy_for(location, os.environ))
    async with httpx.AsyncClient(transport=transport, timeout=FETCH_S) as client:

        async def fetch() -> bytes:
            async with client.stream("GET", location) as answer:
                answer.raise_for_status()
                body = b""
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > LARGEST_BYTES:
                        raise ValueError("too large")
                return body

        yield PublishedKeys(fetch)


def _public(document: bytes) -> KeySet:
    """Return the keys that check signatures, and cannot make any; raises ValueError."""
    keys = KeySet.import_key_set(json.loads(document)).keys
    checking = [
        key
        for key in keys
        if key.key_type != "oct" and not key.is_private and key.get("use", "sig") == "sig"
    ]
    if not checking:
        raise ValueError("no key checks signatures")
    return KeySet(checking)
