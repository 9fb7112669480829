"""Turns on a connection to Azure: one utterance that is recognized, or one reply that is spoken."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import structlog

from services.speech.ports.errors import ProviderError
from services.speech.ports.stages import Stage
from services.speech.vendors.azure.messages import Message, decode, encode_sound, encode_text
from services.speech.vendors.documents import parse_json
from services.speech.vendors.http.client import Endpoint, malformed_answer
from services.speech.vendors.websocket.client import VendorSocket
from services.speech.vendors.websocket.pool import SocketPool

log = structlog.get_logger(__name__)

JSON = "application/json"
_CONFIG = {"context": {"system": {"name": "Parley", "version": "1.0.0", "build": "Python"}}}


class AzureTurn:
    """A turn: what is sent and heard under one request id."""

    def __init__(self, socket: VendorSocket, endpoint: Endpoint, stage: Stage) -> None:
        self.is_finished = False
        self._socket = socket
        self._endpoint = endpoint
        self._stage = stage
        self.request_id = uuid4().hex

    async def begin(self, path: str, context: Mapping[str, Any]) -> None:
        """Send the context, after what describes this client."""
        await self.send_text("speech.config", json.dumps(_CONFIG))
        await self.send_text(path, json.dumps(context))

    async def send_text(self, path: str, body: str, content_type: str = JSON) -> None:
        """Send a message of text."""
        await self._socket.send(encode_text(path, self.request_id, body, content_type))

    async def send_sound(self, body: bytes) -> None:
        """Send sound; none ends it."""
        await self._socket.send(encode_sound("audio", self.request_id, body, "audio/x-wav"))

    async def receive(self) -> Message:
        """Return the next message of this turn, which may be its end."""
        while True:
            try:
                message = decode(await self._socket.receive())
            except ValueError:
                raise self.malformed("a message without headers") from None
            if message.request_id == self.request_id:
                self.is_finished = message.path == "turn.end"
                return message

    async def messages(self) -> AsyncIterator[Message]:
        """Yield the messages of this turn until its end."""
        while not self.is_finished:
            yield await self.receive()

    def document(self, message: Message) -> Mapping[str, Any]:
        """Return the JSON in a message; raises ProviderError if there is none."""
        try:
            document = parse_json(message.body or "{}")
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise self.malformed(f"{message.path} without JSON")
        return document

    def malformed(self, what: str) -> ProviderError:
        """Return the error for a message that breaks the protocol."""
        return malformed_answer(self._stage, self._endpoint, what)


@asynccontextmanager
async def open_turn(
    pool: SocketPool, endpoint: Endpoint, stage: Stage, path: str, context: Mapping[str, Any]
) -> AsyncIterator[AzureTurn]:
    """A turn that has begun.

    Leaving it before it is finished closes the connection, which cancels it. Raises ProviderError.
    """
    async with pool.lend() as loan:
        turn = AzureTurn(loan.socket, endpoint, stage)
        try:
            await turn.begin(path, context)
            yield turn
        except ProviderError:
            log.warning(
                "vendor turn failed",
                stage=stage,
                provider=endpoint.name,
                request_id=turn.request_id,
            )
            raise
        finally:
            loan.can_be_reused = turn.is_finished
