"""Contexts: replies on one connection, of which each can be ended by itself.

One is spoken at a time. One that was cancelled counts until the vendor says that it is final, and
what still comes of it is dropped.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary

import structlog

from services.speech.ports.errors import ProviderError, ProviderQuotaError
from services.speech.ports.stages import Stage
from services.speech.vendors.documents import parse_json
from services.speech.vendors.http.client import Endpoint, malformed_answer
from services.speech.vendors.http.error_details import redacted
from services.speech.vendors.websocket.client import VendorSocket
from services.speech.vendors.websocket.pools import SocketPools

MOST_CONTEXTS = 5
"""A sixth on one connection ends it."""
IDLE_S = 60.0
CANCEL_S = 0.1
_QUOTA = ("quota", "rate_limit", "too_many_concurrent", "payment_required", "system_busy")
_MISCONFIGURED = ("api_key", "voice_not_found", "voice_id", "permission", "model_id")

log = structlog.get_logger(__name__)

Payload = Mapping[str, Any]


class Contexts:
    """Opens contexts on connections that have room for another."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._unfinished: WeakKeyDictionary[VendorSocket, set[str]] = WeakKeyDictionary()

    @asynccontextmanager
    async def open(
        self, sockets: SocketPools, url: str, wishes: Mapping[str, Any]
    ) -> AsyncIterator["Context"]:
        """A context on a connection to a URL, with what is wished of the voice.

        It has begun, so that the first text is all that is left to send. Leaving it early cancels
        it. Raises ProviderError.
        """
        async with sockets.lend(url) as loan:
            unfinished = self._unfinished.setdefault(loan.socket, set())
            context = Context(loan.socket, self._endpoint, unfinished)
            try:
                await context.begin(wishes)
                yield context
            except (ProviderError, TimeoutError):
                request_id = loan.socket.response_headers.get("request-id", "")
                log.warning(
                    "vendor speech failed", provider=self._endpoint.name, request_id=request_id
                )
                raise
            except BaseException:
                has_room = len(unfinished) < MOST_CONTEXTS
                loan.can_be_reused = await context.cancel() and has_room
                raise
            # It may have had no text.
            loan.can_be_reused = await context.cancel() and len(unfinished) < MOST_CONTEXTS

    async def idle(self, socket: VendorSocket) -> None:
        """Drop what comes of cancelled contexts, as long as a connection may idle."""
        unfinished = self._unfinished.setdefault(socket, set())
        with suppress(TimeoutError):
            async with asyncio.timeout(IDLE_S):
                while True:
                    message = _parse(await socket.receive(), self._endpoint)
                    _note(message, _context_of(message), unfinished)


class Context:
    """A reply that is spoken while its texts come."""

    def __init__(self, socket: VendorSocket, endpoint: Endpoint, unfinished: set[str]) -> None:
        self._socket = socket
        self._endpoint = endpoint
        self._unfinished = unfinished
        self._id = uuid4().hex

    async def begin(self, wishes: Mapping[str, Any]) -> None:
        """Say how the texts are to be spoken."""
        self._unfinished.add(self._id)
        await self._say({"text": " ", **wishes})

    async def send(self, text: str) -> None:
        """Add text; the vendor wants a blank behind the last word."""
        await self._say({"text": text if text.endswith(" ") else f"{text} "})

    async def finish(self) -> None:
        """Have the rest spoken."""
        await self._say({"flush": True})
        await self._say({"close_context": True})

    async def cancel(self) -> bool:
        """Have nothing more spoken; return whether the vendor could be told so at once."""
        if self._id in self._unfinished:
            try:
                async with asyncio.timeout(CANCEL_S):
                    await self._say({"close_context": True})
            except (ProviderError, TimeoutError):
                return False
        return True

    async def messages(self) -> AsyncIterator[Payload]:
        """Yield what comes of this context, up to the final message; raises ProviderError."""
        while self._id in self._unfinished:
            try:
                message = _parse(await self._socket.receive(), self._endpoint)
            except ProviderError as error:
                raise _judged(error) from None
            context_id = _context_of(message) or self._id
            _note(message, context_id, self._unfinished)
            if context_id == self._id:
                yield message

    async def _say(self, message: Payload) -> None:
        await self._socket.send(json.dumps({**message, "context_id": self._id}))


def _note(message: Payload, context_id: str, unfinished: set[str]) -> None:
    if message.get("isFinal") or message.get("is_final"):
        unfinished.discard(context_id)


def _context_of(message: Payload) -> str:
    """Return the id of the context that a message is about; empty if it names none."""
    return str(message.get("contextId") or message.get("context_id") or "")


def _parse(message: str | bytes, endpoint: Endpoint) -> Payload:
    try:
        found = parse_json(message)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise malformed_answer(Stage.SYNTHESIS, endpoint, "a message is no document")
    if found.get("error"):
        parts = (found.get(key) for key in ("error", "code", "message"))
        said = redacted(" ".join(str(part) for part in parts if part), endpoint.api_key)
        what = "the provider reports an error"
        raise ProviderError(
            Stage.SYNTHESIS, endpoint.name, what, transient=True, vendor_message=said
        )
    return found


def _judged(error: ProviderError) -> ProviderError:
    """Return an error as what the vendor calls it: many a refusal is a message, then a close."""
    said = error.vendor_message.lower().replace(" ", "_")
    stage, name, what = error.stage, error.provider, str(error)
    if any(each in said for each in _QUOTA):
        return ProviderQuotaError(stage, name, what, vendor_message=error.vendor_message)
    if any(each in said for each in _MISCONFIGURED):
        return ProviderError(
            stage, name, what, transient=False, vendor_message=error.vendor_message
        )
    return error
