"""Sends one message to one webhook, once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from services.runtime.network.public_network import PrivateAddress, PublicNetwork, PublicTransport
from services.runtime.security.vault import UnreadableSecret, Vault
from services.task.domain.tasks import Clock
from services.task.webhooks.signature import SigningKey, signed
from services.task.webhooks.webhook import Receiver

TIMEOUT_S = 10.0
"""For everything, from the name to the end of what is read of the answer."""
ANSWER_BYTES = 4096
"""Read of an answer, so that its connection can be used again; what is longer is cut off."""
KEPT_CONNECTIONS = 32
HEADERS = {
    "Content-Type": "application/json",
    "User-Agent": "Parley-Webhooks/1",
    # Bytes that decompress to a thousand times as many would pass any limit of theirs.
    "Accept-Encoding": "identity",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Courier:
    """Delivers messages; used inside `courier_to`."""

    client: httpx.AsyncClient
    vault: Vault
    clock: Clock
    timeout_s: float

    async def send(self, receiver: Receiver, *, event_id: str, body: bytes) -> str:
        """Send a message; return why it was not taken, empty when it was.

        Only an answer 2xx takes it. Redirects are not followed: they lead where nobody looked.
        """
        keys = self._keys(receiver)
        if not keys:
            return "its secret cannot be decrypted: no key of TASK_ENCRYPTION_KEYS fits"
        headers = signed(
            keys, event_id=event_id, timestamp=int(self.clock().timestamp()), body=body
        )
        try:
            async with asyncio.timeout(self.timeout_s):
                status = await self._post(receiver.webhook.url, {**headers, **HEADERS}, body)
        except TimeoutError:
            return f"it gave no answer within {self.timeout_s:g} s"
        except httpx.HTTPError as error:
            if isinstance(error.__cause__, PrivateAddress):
                return "its host has an address that is not public"
            return f"it cannot be reached: {type(error).__name__}"
        return "" if httpx.codes.is_success(status) else f"it answered HTTP {status}"

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> int:
        async with self.client.stream("POST", url, headers=headers, content=body) as answer:
            size = 0
            async for chunk in answer.aiter_raw():
                size += len(chunk)
                if size > ANSWER_BYTES:
                    break
            return answer.status_code

    def _keys(self, receiver: Receiver) -> Sequence[SigningKey]:
        """Return the keys that can be read."""
        keys = []
        for each in receiver.keys:
            try:
                secret = self.vault.unseal(each.secret)
            except UnreadableSecret:
                continue
            keys.append(SigningKey(key_id=each.key_id, secret=secret))
        return keys


@asynccontextmanager
async def courier_to(
    network: PublicNetwork, vault: Vault, clock: Clock, *, timeout_s: float = TIMEOUT_S
) -> AsyncIterator[Courier]:
    """Open the way to the webhooks in a network."""
    async with httpx.AsyncClient(
        transport=PublicTransport(network, keep_alive=KEPT_CONNECTIONS),
        timeout=timeout_s,
        follow_redirects=False,
        trust_env=False,
    ) as client:
        yield Courier(client=client, vault=vault, clock=clock, timeout_s=timeout_s)
