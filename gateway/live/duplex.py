"""The open line to a digital human: `/api/digital-human/talk`, a WebSocket in both directions."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, Protocol, TypeVar

from fastapi import APIRouter, WebSocket
from pydantic import ValidationError
from starlette.websockets import WebSocketDisconnect, WebSocketState

from digitalhuman.speech.v1 import speech_pb2 as pb
from gateway.backend import turns
from gateway.backend.services import Backend
from gateway.contract.bodies import Control, LeaveControl, SayControl, TalkQuery, TextControl
from gateway.contract.events import Event, of_conversation, of_ready
from gateway.contract.problems import foreseen, invalid_request, refused
from gateway.decoding.decoder import FIELD, RATE_HERTZ
from gateway.live.audio_bundler import AudioBundler
from gateway.live.opus import WebmDecoder
from gateway.live.resumable_stream import Interlude, ResumableStream
from gateway.live.uplink import Uplink
from gateway.middleware.access import RateLimit, caller_of
from gateway.server.drain import Drain
from gateway.server.sockets import MESSAGE_BYTES, close_with, message_too_large
from services.runtime.errors import ServiceError
from services.runtime.pcm import SAMPLE_BYTES, byte_count
from services.runtime.reasons import Reason

M = TypeVar("M")

AUDIO_RATE = 2.0
"""Audio may come so much faster than it is spoken, after a burst of what a utterance may last."""

AUDIO_BURST_S = 60.0
SHORTEST_S = 0.01
"""A message of less audio counts as so much."""

_SECOND_BYTES = byte_count(1, RATE_HERTZ)
_SHORTEST_BYTES = byte_count(SHORTEST_S, RATE_HERTZ)


def duplex_routes(*, backend: Backend, rate: RateLimit, drain: Drain) -> APIRouter:
    """Return the endpoint."""
    router = APIRouter()

    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        try:
            with drain.socket():
                await _hold(socket, backend=backend, rate=rate, drain=drain)
                if socket.client_state is WebSocketState.CONNECTED:
                    await socket.close()
        except WebSocketDisconnect:
            return
        except Exception as error:
            await close_with(foreseen(error), socket.scope, socket.send)

    async def elsewhere(socket: WebSocket) -> None:
        await socket.accept()
        error = ServiceError(Reason.ROUTE_NOT_FOUND, "There is no WebSocket at this address.")
        await close_with(error, socket.scope, socket.send)

    # Plain routes: what FastAPI keeps for each call is kept for as long as the line is open.
    router.add_websocket_route("/api/digital-human/talk", talk)
    router.add_websocket_route("/{path:path}", elsewhere)
    return router


async def _hold(socket: WebSocket, *, backend: Backend, rate: RateLimit, drain: Drain) -> None:
    """Hold the conversation until the client leaves; raises what it is to be told."""
    query = _checked(TalkQuery.model_validate, dict(socket.query_params))
    is_manual = query.turn_detection == "MANUAL"
    uplink = Uplink(keeps_utterances=is_manual)
    setup = turns.setup(
        query.task_id,
        query.lang,
        turn_detection=pb.TURN_DETECTION_MANUAL if is_manual else pb.TURN_DETECTION_SERVER,
        after=query.after,
    )
    bundler = AudioBundler(uplink.add_audio, ends_by_silence=not is_manual)
    with _reading(query.audio, bundler) as reader:
        client = _Client(
            socket, uplink=uplink, bundler=bundler, reader=reader, rate=rate, is_manual=is_manual
        )
        await _first(
            drain.begun(),
            client.read(),
            client.tell(ResumableStream(backend, setup=setup)),
        )


async def _first(*works: Coroutine[Any, Any, None]) -> None:
    """Do all of it until the first is done, which decides; raises what that raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


def _checked(check: Callable[[Any], M], given: Any) -> M:
    """Return what is given in its right form; raises ServiceError with the field and the rule."""
    try:
        return check(given)
    except ValidationError as error:
        raise invalid_request(error.errors()) from None


class _AudioReader(Protocol):
    """Makes PCM of a client's binary messages."""

    async def feed(self, chunk: bytes) -> None:
        """Take a message, and return when all of it is heard; raises ServiceError."""


class _PcmReader:
    """The messages are PCM."""

    def __init__(self, on_pcm: Callable[[bytes], None]) -> None:
        self._on_pcm = on_pcm

    async def feed(self, chunk: bytes) -> None:
        if not chunk or len(chunk) % SAMPLE_BYTES:
            raise refused(
                Reason.AUDIO_INVALID, FIELD, "whole_samples", "must be whole samples of two bytes"
            )
        self._on_pcm(chunk)


@contextmanager
def _reading(audio: str, bundler: AudioBundler) -> Iterator[_AudioReader]:
    allowance = _Allowance()

    def on_pcm(pcm: bytes) -> None:
        allowance.take(len(pcm))
        bundler.push(pcm)

    try:
        yield _PcmReader(on_pcm) if audio == "pcm" else WebmDecoder(on_pcm)
    finally:
        bundler.close()


class _Allowance:
    """How much audio a client may still send: it is made by time, not faster."""

    def __init__(self) -> None:
        self._most = byte_count(AUDIO_BURST_S, RATE_HERTZ)
        self._left = float(self._most)
        self._loop = asyncio.get_running_loop()
        self._filled_at = self._loop.time()

    def take(self, size: int) -> None:
        """Count audio; raises ServiceError RATE_LIMITED."""
        now = self._loop.time()
        made = (now - self._filled_at) * AUDIO_RATE * _SECOND_BYTES
        self._left = min(self._most, self._left + made) - max(size, _SHORTEST_BYTES)
        self._filled_at = now
        if self._left < 0:
            raise ServiceError(
                Reason.RATE_LIMITED, "Audio comes faster than it can have been spoken."
            )


class _Client:
    """One client: what it sends goes up, what happens comes down."""

    def __init__(
        self,
        socket: WebSocket,
        *,
        uplink: Uplink,
        bundler: AudioBundler,
        reader: _AudioReader,
        rate: RateLimit,
        is_manual: bool,
    ) -> None:
        self._socket = socket
        self._uplink = uplink
        self._bundler = bundler
        self._reader = reader
        self._rate = rate
        self._is_manual = is_manual

    async def read(self) -> None:
        """Take messages until the client leaves; raises ServiceError at a bad one."""
        while True:
            # A client that is ahead of speech waits; its messages stay in the network.
            await self._uplink.room()
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            text, chunk = message.get("text"), message.get("bytes")
            if len(text or chunk or b"") > MESSAGE_BYTES:
                raise message_too_large()
            if text is not None:
                self._rate.take(caller_of(self._socket.scope))
                if await self._control(text) == "leave":
                    # Speech ends the stream when it has read that, whenever the client is gone.
                    await asyncio.get_running_loop().create_future()
            else:
                await self._reader.feed(chunk or b"")

    async def tell(self, continuity: ResumableStream) -> None:
        """Tell what happens until the conversation ends; raises ServiceError when it fails."""
        instance = self._socket.url.path
        last_before = 0
        async with aclosing(continuity.responses(self._uplink)) as responses:
            async for response in responses:
                told: Event | None
                if isinstance(response, Interlude):
                    told = Event(name=response, data={})
                elif response.HasField("ready"):
                    last_before = response.ready.last_sequence
                    told = of_ready(response.ready)
                else:
                    if response.event.sequence > last_before:
                        turns.count(response.event)
                    told = of_conversation(response.event, instance=instance)
                if told is not None:
                    await self._socket.send_text(told.to_json())

    async def _control(self, text: str) -> str:
        """Take a text message; returns its type."""
        control = _checked(Control.model_validate_json, text)
        match control.type:
            case "commit":
                if not self._is_manual:
                    raise refused(
                        Reason.INVALID_REQUEST, "type", "manual_only", "needs turnDetection MANUAL"
                    )
                self._bundler.end_utterance()
                self._uplink.add(pb.ConverseRequest(commit=pb.ConverseCommit()))
                return control.type
            case "text":
                asked = _checked(TextControl.model_validate_json, text)
                requests = turns.written(asked.text, request_id=asked.request_id)
            case "say":
                said = _checked(SayControl.model_validate_json, text)
                requests = turns.said(said.text, said.priority, request_id=said.request_id)
            case "interrupt":
                requests = turns.interruption()
            case "leave":
                left = _checked(LeaveControl.model_validate_json, text)
                requests = turns.leaving(left.linger_seconds)
        self._bundler.flush()
        for request in requests:
            self._uplink.add(request)
        return control.type
