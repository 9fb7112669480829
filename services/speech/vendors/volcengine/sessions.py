"""Volcengine's sessions: each speaks one reply, one after the other on a connection."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from enum import IntEnum
from typing import Any
from uuid import uuid4

from services.speech.ports.errors import ProviderError
from services.speech.ports.stages import Stage
from services.speech.vendors.http.client import Endpoint, provider_errors
from services.speech.vendors.volcengine.frame_socket import FrameSocket
from services.speech.vendors.volcengine.frames import Frame
from services.speech.vendors.volcengine.settings import VolcengineSettings
from services.speech.vendors.websocket.client import VendorSocket, open_socket
from services.speech.vendors.websocket.pool import SocketPool


class EventCode(IntEnum):
    """What happens to a connection, or in a session."""

    START_CONNECTION = 1
    CONNECTION_STARTED = 50
    CONNECTION_FAILED = 51
    START_SESSION = 100
    CANCEL_SESSION = 101
    FINISH_SESSION = 102
    SESSION_STARTED = 150
    SESSION_CANCELED = 151
    SESSION_FINISHED = 152
    SESSION_FAILED = 153
    TASK_REQUEST = 200
    SENTENCE_START = 350
    SENTENCE_END = 351
    SPEECH = 352
    SUBTITLE = 364


@asynccontextmanager
async def open_connection(
    settings: VolcengineSettings, endpoint: Endpoint
) -> AsyncIterator[VendorSocket]:
    """A connection that takes sessions; raises ProviderError."""
    opening = open_socket(
        endpoint, Stage.SYNTHESIS, url=settings.base_url, headers=settings.headers()
    )
    async with opening as socket:
        frames = FrameSocket(socket, endpoint, Stage.SYNTHESIS)
        with provider_errors(Stage.SYNTHESIS, endpoint.name):
            async with asyncio.timeout(endpoint.deadlines.first_s):
                await frames.send(Frame.of({}, event=EventCode.START_CONNECTION))
                await _wait_for(frames, EventCode.CONNECTION_STARTED, EventCode.CONNECTION_FAILED)
        yield socket


class Session:
    """A session that speaks."""

    def __init__(self, frames: FrameSocket) -> None:
        self.is_finished = False
        self._frames = frames
        self._id = str(uuid4())

    async def start(self, document: Mapping[str, Any]) -> None:
        """Start it, and wait until it takes texts; raises ProviderError."""
        await self._send(EventCode.START_SESSION, document)
        await _wait_for(self._frames, EventCode.SESSION_STARTED, EventCode.SESSION_FAILED, self._id)

    async def send_text(self, text: str) -> None:
        """Add text."""
        await self._send(EventCode.TASK_REQUEST, {"req_params": {"text": text}})

    async def finish(self) -> None:
        """End the texts."""
        await self._send(EventCode.FINISH_SESSION, {})

    async def cancel(self, within_s: float) -> None:
        """End it now; it is finished if the vendor says so in time."""
        with suppress(ProviderError, TimeoutError):
            async with asyncio.timeout(within_s):
                await self._send(EventCode.CANCEL_SESSION, {})
                while not self.is_finished:
                    frame = await self._frames.receive()
                    is_end = frame.event in (EventCode.SESSION_CANCELED, EventCode.SESSION_FINISHED)
                    self.is_finished = is_end and frame.subject_id == self._id

    async def events(self) -> AsyncIterator[Frame]:
        """Yield the frames of this session until it is finished; raises ProviderError."""
        while True:
            frame = await self._frames.receive()
            if frame.subject_id != self._id:
                continue
            if frame.event == EventCode.SESSION_FAILED:
                raise _failure(self._frames, frame)
            if frame.event == EventCode.SESSION_FINISHED:
                if (failure := self._frames.failure_in(frame)) is not None:
                    raise failure
                self.is_finished = True
                return
            yield frame

    def malformed(self, what: str) -> ProviderError:
        """Return the error for a message that breaks the protocol."""
        return self._frames.malformed(what)

    async def _send(self, event: EventCode, document: Mapping[str, Any]) -> None:
        named = {"event": event, "namespace": "BidirectionalTTS", **document}
        await self._frames.send(Frame.of(named, event=event, subject_id=self._id))


@asynccontextmanager
async def open_session(
    pool: SocketPool, endpoint: Endpoint, document: Mapping[str, Any], *, cancel_s: float
) -> AsyncIterator[Session]:
    """A session that takes texts; leaving it before it is finished cancels it.

    The connection of one that is not cancelled within `cancel_s` is closed.
    Raises ProviderError, TimeoutError when the start is late.
    """
    async with pool.lend() as loan:
        session = Session(FrameSocket(loan.socket, endpoint, Stage.SYNTHESIS))
        async with asyncio.timeout(endpoint.deadlines.first_s):
            await session.start(document)
        try:
            yield session
        except ProviderError:
            raise  # There is nothing left to cancel.
        except BaseException:
            await session.cancel(cancel_s)
            raise
        finally:
            loan.can_be_reused = session.is_finished


async def _wait_for(
    frames: FrameSocket, wanted: EventCode, failed: EventCode, session_id: str = ""
) -> None:
    """Receive frames up to the wanted event, of a session if one is named; raises ProviderError."""
    while True:
        frame = await frames.receive()
        if session_id and frame.subject_id != session_id:
            continue
        if frame.event == failed:
            raise _failure(frames, frame)
        if frame.event == wanted:
            return


def _failure(frames: FrameSocket, frame: Frame) -> ProviderError:
    said = frame.payload.decode(errors="replace")
    return frames.failure_in(frame) or frames.failure(0, said)
