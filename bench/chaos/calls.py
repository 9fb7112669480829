"""Calls of a user, repeated where that is safe until they are answered."""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from bench.chaos.account import Account

API = "/api/digital-human"
PATIENCE_S = 60.0
_PAUSE_S = 0.3
_LASTS = ("AVATAR_START_FAILED",)
"""Reasons that the same call gets again."""


def _passes_by_itself(answer: httpx.Response) -> bool:
    return answer.status_code in (429, 502, 503, 504) and answer.json()["reason"] not in _LASTS


class Refused(Exception):
    """The answer is a problem; the message is its reason."""


class LosingTransport(httpx.AsyncBaseTransport):
    """Loses a share of the answers, after their effect."""

    def __init__(self, *, share: float, rng: random.Random) -> None:
        # A connection that is kept may be closed by its gateway while a call goes out over it.
        self._inner = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))
        self._share = share
        self._rng = rng

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it, and then perhaps lose what came back."""
        response = await self._inner.handle_async_request(request)
        if self._rng.random() < self._share:
            await response.aread()
            await response.aclose()
            raise httpx.ReadError("the answer is lost", request=request)
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


class Calls:
    """The HTTP calls of one user, at any of the gateways."""

    def __init__(
        self,
        *,
        gateways: Sequence[str],
        http: httpx.AsyncClient,
        account: Account,
        rng: random.Random,
    ) -> None:
        self._gateways = gateways
        self._http = http
        self._account = account
        self._rng = rng

    def gateway(self) -> str:
        """Return the address of one of them."""
        return self._rng.choice(self._gateways)

    async def once(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Call and return the answer; raises Refused, and httpx.TransportError."""
        try:
            answer = await self._http.post(f"{self.gateway()}{API}/{path}", json=body)
        except httpx.TransportError:
            self._account.answers[f"{path}: none"] += 1
            raise
        return self._read(path, answer)

    async def repeated(
        self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Call until there is an answer that does not pass by itself; raises Refused."""
        failed_at: float | None = None
        started_at = time.monotonic()
        while True:
            try:
                answer = await self._http.post(
                    f"{self.gateway()}{API}/{path}", json=body, headers=headers
                )
            except httpx.TransportError:
                answer = None
            if answer is not None and not _passes_by_itself(answer):
                if failed_at is not None:
                    self._account.outages_s[path].append(time.monotonic() - failed_at)
                return self._read(path, answer)
            failed_at = failed_at or time.monotonic()
            reason = answer.json()["reason"] if answer is not None else "none"
            self._account.answers[f"{path}: {reason}, repeated"] += 1
            if time.monotonic() - started_at > PATIENCE_S:
                self._account.given_up.append(f"{path}: {reason}")
                raise Refused(reason)
            await asyncio.sleep(_PAUSE_S)

    def _read(self, path: str, answer: httpx.Response) -> dict[str, Any]:
        told: dict[str, Any] = answer.json()
        if answer.is_success:
            self._account.answers[f"{path}: ok"] += 1
            return told
        self._account.answers[f"{path}: {told['reason']}"] += 1
        raise Refused(told["reason"])
