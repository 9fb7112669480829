"""The open line of a call: sound and texts up, events down, across connections that break."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from parley.gateway_client.answers import Event, GatewayError, Json, problem_error
from parley.gateway_client.gateway import Gateway
from parley.terminal.escaping import visible_json

_PAUSES_S = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Between attempts to connect again; half a minute in all."""


class Line:
    """The line of one task."""

    def __init__(self, gateway: Gateway, task_id: str, *, has_microphone: bool) -> None:
        self._gateway = gateway
        # Without sound nobody is silent: the service must not ask whether the user is there.
        detection = "SERVER" if has_microphone else "MANUAL"
        self._query = {"taskId": task_id, "turnDetection": detection}
        self._connection: ClientConnection | None = None
        self._connected = asyncio.Event()
        self._unconfirmed: dict[str, str] = {}

    async def send(self, **message: Any) -> None:
        """Send a message as soon as there is a connection.

        One with a `requestId` is sent again over the next connection until its turn has begun.
        """
        text = json.dumps(message)
        if "requestId" in message:
            self._unconfirmed[message["requestId"]] = text
        else:
            await self._connected.wait()
        await self._send(text)

    async def send_sound(self, pcm: bytes) -> None:
        """Send 16-bit samples, mono, 16 kHz; what is recorded without a connection is lost."""
        await self._send(pcm)

    async def events(self) -> AsyncIterator[Event]:
        """Yield the events of the conversation, each once and in order.

        Raises GatewayError when the gateway ends the line; for an outage, once it has lasted too
        long.
        """
        failures = 0
        while True:
            try:
                async with self._gateway.open_line(self._query) as connection:
                    async for event in self._events_of(connection):
                        failures = 0
                        yield event
            except GatewayError as error:
                if not error.is_outage or failures == len(_PAUSES_S):
                    raise
            finally:
                self._connection = None
                self._connected.clear()
            await asyncio.sleep(_PAUSES_S[min(failures, len(_PAUSES_S) - 1)])
            failures += 1

    async def _events_of(self, connection: ClientConnection) -> AsyncIterator[Event]:
        try:
            async for text in connection:
                message: Json = visible_json(json.loads(text))
                if "problem" in message:
                    raise problem_error(message["problem"])
                event = Event(name=message["event"], data=message["data"])
                if event.name == "ready":
                    await self._begin(connection)
                if "sequence" in message:
                    self._query["after"] = str(message["sequence"])
                if event.name == "turn_started":
                    self._unconfirmed.pop(event.data.get("requestId", ""), None)
                yield event
        except ConnectionClosed:
            return

    async def _begin(self, connection: ClientConnection) -> None:
        # What is sent from now on goes over the connection itself.
        unconfirmed = list(self._unconfirmed.values())
        self._connection = connection
        self._connected.set()
        for text in unconfirmed:
            await connection.send(text)

    async def _send(self, message: str | bytes) -> None:
        connection = self._connection
        if connection is not None:
            try:
                await connection.send(message)
            except ConnectionClosed:
                return
