"""The client at the other end of a line: what it sends goes up, the conversation comes down."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from fastapi import WebSocket

from digitalhuman.speech.v1 import speech_pb2 as pb
from gateway.access.rate_limit import RateLimit
from gateway.backend import turns
from gateway.contract.bodies import (
    Control,
    LeaveControl,
    SayControl,
    TextControl,
    ToolResultControl,
    WithdrawControl,
)
from gateway.contract.conversation_events import Event
from gateway.contract.event_wire import from_conversation_event, from_ready
from gateway.contract.problems import refused, validated
from gateway.live.audio_bundler import AudioBundler
from gateway.live.audio_reader import AudioReader
from gateway.live.resumable_stream import ResumableStream
from gateway.live.uplink import Uplink
from gateway.middleware.access import caller_of
from gateway.server.sockets import MESSAGE_BYTES, message_too_large
from gateway.server.sound_socket import sound_passed_to
from services.runtime.failures.reasons import Reason


class LineClient:
    """One client and its messages in both directions."""

    def __init__(
        self,
        socket: WebSocket,
        *,
        uplink: Uplink,
        bundler: AudioBundler,
        reader: AudioReader,
        rate: RateLimit,
        is_manual: bool,
    ) -> None:
        self._socket = socket
        self._uplink = uplink
        self._bundler = bundler
        self._reader = reader
        self._rate = rate
        self._is_manual = is_manual

    async def receive_all(self) -> None:
        """Take messages until the client leaves; raises ServiceError at a bad one."""
        with sound_passed_to(self._take_sound, self._socket.scope):
            has_gone = await self._receive_until_end()
        if not has_gone:
            # Speech ends the stream once it has read that, even if the client has left.
            await asyncio.get_running_loop().create_future()

    async def _receive_until_end(self) -> bool:
        """Take messages until the client has gone, or else says that it leaves."""
        while True:
            # A client that is ahead of speech waits; its messages stay in the network.
            await self._uplink.room()
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return True
            text, chunk = message.get("text"), message.get("bytes")
            if len(text or chunk or b"") > MESSAGE_BYTES:
                raise message_too_large()
            if text is not None:
                self._rate.take(caller_of(self._socket.scope))
                if self._take_control(text) == "leave":
                    return False
            else:
                await self._reader.feed(chunk or b"")

    def _take_sound(self, chunk: bytes) -> bool:
        return self._uplink.has_room and self._reader.take(chunk)

    async def send_all(self, stream: ResumableStream) -> None:
        """Send what happens until the conversation ends; raises ServiceError when it fails."""
        async with aclosing(self._events(stream)) as events:
            async for event in events:
                await self._socket.send_text(event.to_text())

    async def _events(self, stream: ResumableStream) -> AsyncGenerator[Event, None]:
        instance = self._socket.url.path
        last_before = 0
        async with aclosing(stream.responses(self._uplink)) as responses:
            async for response in responses:
                if not isinstance(response, pb.ConverseResponse):
                    yield response
                elif response.HasField("ready"):
                    last_before = response.ready.last_sequence
                    yield from_ready(response.ready)
                else:
                    if response.event.sequence > last_before:
                        turns.count(response.event)
                    event = from_conversation_event(response.event, instance=instance)
                    if event is not None:
                        yield event

    def _take_control(self, text: str) -> str:
        """Take a text message; returns its type."""
        control = validated(Control.model_validate_json, text)
        requests = _requests(control, text)
        if control.type == "commit":
            if not self._is_manual:
                raise refused(
                    Reason.INVALID_REQUEST, "type", "manual_only", "needs turnDetection MANUAL"
                )
            self._bundler.end_utterance()
        else:
            self._bundler.flush()
        for request in requests:
            self._uplink.add(request)
        return control.type


def _requests(control: Control, text: str) -> Sequence[pb.ConverseRequest]:
    """Return what a control asks speech for."""
    match control.type:
        case "commit":
            return turns.commit()
        case "text":
            asked = validated(TextControl.model_validate_json, text)
            return turns.written(asked.text, request_id=asked.request_id)
        case "say":
            said = validated(SayControl.model_validate_json, text)
            return turns.said(
                said.text,
                said.priority,
                request_id=said.request_id,
                interruptible=said.interruptible,
            )
        case "withdraw":
            withdrawn = validated(WithdrawControl.model_validate_json, text)
            return turns.withdrawal(withdrawn.request_id)
        case "greet":
            return turns.greeting()
        case "interrupt":
            return turns.interruption()
        case "tool_result":
            told = validated(ToolResultControl.model_validate_json, text)
            return turns.tool_result(told.call_id, told.result, failed=told.failed)
        case "leave":
            left = validated(LeaveControl.model_validate_json, text)
            return turns.leaving(left.linger_seconds)
