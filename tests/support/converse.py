"""The client's side of a Converse stream."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import grpc

from digitalhuman.conversation.v1 import conversation_pb2 as events_pb
from digitalhuman.speech.v1 import speech_pb2 as pb
from digitalhuman.speech.v1 import speech_pb2_grpc
from services.runtime.callers.requests import Metadata
from services.runtime.failures.errors import ServiceError, from_rpc_error
from services.speech.playback.wire import to_format
from tests.support.fake_tasks import TASK_ID
from tests.support.loudness import RATE
from tests.support.speech_rig import SpeechRig


def setup(
    *,
    task_id: str = TASK_ID,
    output: pb.ReplyOutput.ValueType = pb.REPLY_OUTPUT_AVATAR,
    turn_detection: pb.TurnDetection.ValueType = pb.TURN_DETECTION_MANUAL,
    **fields: Any,
) -> pb.ConverseRequest:
    """Return the first request of a stream."""
    message = pb.ConverseSetup(
        task_id=task_id,
        output=output,
        turn_detection=turn_detection,
        **({"input_format": to_format(RATE)} | fields),
    )
    return pb.ConverseRequest(setup=message)


def audio(pcm: bytes) -> list[pb.ConverseRequest]:
    """Return audio in messages of 100 ms."""
    size = 3_200
    return [
        pb.ConverseRequest(audio=pb.ConverseAudio(pcm=pcm[at : at + size]))
        for at in range(0, len(pcm), size)
    ]


def text(words: str) -> pb.ConverseRequest:
    """Return a written question."""
    return pb.ConverseRequest(text=pb.ConverseText(text=words))


def say(
    words: str, priority: pb.SayPriority.ValueType = pb.SAY_PRIORITY_NORMAL
) -> pb.ConverseRequest:
    """Return scripted words."""
    return pb.ConverseRequest(say=pb.ConverseSay(text=words, priority=priority))


def leave(linger_s: float) -> pb.ConverseRequest:
    """Return a goodbye."""
    request = pb.ConverseRequest(leave=pb.ConverseLeave())
    request.leave.linger_duration.FromTimedelta(timedelta(seconds=linger_s))
    return request


COMMIT = pb.ConverseRequest(commit=pb.ConverseCommit())
INTERRUPT = pb.ConverseRequest(interrupt=pb.ConverseInterrupt())


class Talk:
    """One Converse stream, driven step by step."""

    def __init__(self, stub: speech_pb2_grpc.SpeechServiceStub, metadata: Metadata = ()) -> None:
        self._call = stub.Converse(metadata=metadata)
        self.ready: pb.ConverseReady | None = None
        self.events: list[events_pb.ConversationEvent] = []
        self.pcm = bytearray()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, rig: SpeechRig, first: pb.ConverseRequest | None = None, metadata: Metadata = ()
    ) -> AsyncIterator["Talk"]:
        """A stream that is ready; cancelled at the end if it is not over."""
        async with cls.on(rig.stub, first or setup(), metadata) as talk:
            yield talk

    @classmethod
    @asynccontextmanager
    async def on(
        cls,
        stub: speech_pb2_grpc.SpeechServiceStub,
        first: pb.ConverseRequest,
        metadata: Metadata = (),
    ) -> AsyncIterator["Talk"]:
        """The same, of a service by its stub."""
        talk = cls(stub, metadata)
        try:
            await talk.send(first)
            response = await talk._read()
            assert response is not None
            talk.ready = response.ready
            yield talk
        finally:
            await talk.cancel()

    async def send(self, *requests: pb.ConverseRequest) -> None:
        """Write requests."""
        for request in requests:
            await self._call.write(request)

    async def until(self, *kinds: str, count: int = 1) -> events_pb.ConversationEvent:
        """Read until so many more events of one of the kinds have come; return the last."""
        while True:
            response = await self._read()
            assert response is not None, f"the stream ended before {kinds}: {self.kinds}"
            if response.HasField("event") and response.event.WhichOneof("event") in kinds:
                count -= 1
                if not count:
                    return response.event

    async def finish(self) -> list[str]:
        """Half-close, read to the end and return the kinds of all events."""
        await self.half_close()
        return await self.read_on()

    async def half_close(self) -> None:
        """Send nothing more."""
        await self._call.done_writing()

    async def read_on(self) -> list[str]:
        """Read to the end and return the kinds of all events."""
        while await self._read() is not None:
            pass
        return self.kinds

    async def cancel(self) -> None:
        """Go away."""
        self._call.cancel()
        await self._call.code()

    @property
    def kinds(self) -> list[str]:
        """The kinds of the events so far."""
        return [str(event.WhichOneof("event")) for event in self.events]

    def last(self, kind: str) -> Any:
        """Return the last event of a kind."""
        found = [event for event in self.events if event.WhichOneof("event") == kind]
        return getattr(found[-1], kind)

    async def _read(self) -> pb.ConverseResponse | None:
        response = await self._call.read()
        if not isinstance(response, pb.ConverseResponse):
            # Raises when the stream has ended with an error.
            if await self._call.code() is not grpc.StatusCode.OK:
                raise grpc.aio.AioRpcError(
                    await self._call.code(),
                    await self._call.initial_metadata(),
                    await self._call.trailing_metadata(),
                    details=await self._call.details(),
                )
            return None
        if response.HasField("event"):
            self.events.append(response.event)
        self.pcm += response.audio_produced.pcm
        return response


async def refusal(
    rig: SpeechRig, first: pb.ConverseRequest, *requests: pb.ConverseRequest
) -> ServiceError | None:
    """Return the error with which a stream of these requests ends, None when it ends well."""
    try:
        async with Talk.open(rig, first) as talk:
            await talk.send(*requests)
            await talk.finish()
    except grpc.aio.AioRpcError as error:
        return from_rpc_error(error)
    return None
