"""One user: a microphone that sends a frame every 20 ms, and a reader of events."""

import asyncio
import json
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

import grpc
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bench.conversation.fakes import Question, voice_of
from bench.conversation.stack import Stack
from digitalhuman.audio.v1 import audio_pb2
from digitalhuman.speech.v1 import speech_pb2 as pb
from digitalhuman.speech.v1.speech_pb2_grpc import SpeechServiceStub

FRAME_S = 0.02
RATE_HERTZ = 16_000
_HEARD = re.compile(r"heard (\d+)")
"""What a scripted recognizer says while the user speaks: how much voice it heard."""
_STEP_MS = 50
"""Each such piece of voice counts once, in whatever packets it was heard."""
_QUIET = bytes(int(FRAME_S * RATE_HERTZ) * 2)


class Detection(StrEnum):
    """Who ends an utterance."""

    MANUAL = "MANUAL"
    SERVER = "SERVER"


class Way(StrEnum):
    """How a user reaches the conversation: through all processes, or speech directly."""

    GATEWAY = "gateway"
    SPEECH = "speech"


OnEvent: TypeAlias = Callable[[str, str], None]
"""Takes the kind of an event and its text."""


class Line(Protocol):
    """A connection to a conversation."""

    async def send(self, pcm: bytes) -> None:
        """Send a frame."""

    async def commit(self) -> None:
        """End an utterance."""

    async def interrupt(self) -> None:
        """Cut off the reply."""


class SocketLine:
    """Through the gateway's WebSocket."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def send(self, pcm: bytes) -> None:
        """Send a frame."""
        await self._socket.send(pcm)

    async def commit(self) -> None:
        """End an utterance."""
        await self._socket.send('{"type":"commit"}')

    async def interrupt(self) -> None:
        """Cut off the reply."""
        await self._socket.send('{"type":"interrupt"}')

    async def read(self, on_event: OnEvent) -> None:
        """Yield the events until the end."""
        with suppress(ConnectionClosed):
            async for message in self._socket:
                told = json.loads(message)
                if "problem" in told:
                    raise RuntimeError(f"the gateway refuses: {told}")
                on_event(told["event"], told["data"].get("text", ""))


class CallLine:
    """Directly to the speech service."""

    _COMMIT = pb.ConverseRequest(commit=pb.ConverseCommit())
    _INTERRUPT = pb.ConverseRequest(interrupt=pb.ConverseInterrupt())

    def __init__(
        self, call: "grpc.aio.StreamStreamCall[pb.ConverseRequest, pb.ConverseResponse]"
    ) -> None:
        self._call = call

    async def send(self, pcm: bytes) -> None:
        """Send a frame."""
        await self._call.write(pb.ConverseRequest(audio=pb.ConverseAudio(pcm=pcm)))

    async def commit(self) -> None:
        """End an utterance."""
        await self._call.write(self._COMMIT)

    async def interrupt(self) -> None:
        """Cut off the reply."""
        await self._call.write(self._INTERRUPT)

    async def read(self, on_event: OnEvent) -> None:
        """Yield the events until the end."""
        with suppress(asyncio.CancelledError):
            async for response in self._call:
                if response.HasField("event"):
                    kind = str(response.event.WhichOneof("event"))
                    on_event(kind, getattr(getattr(response.event, kind), "text", ""))
                else:
                    on_event("ready", "")


@dataclass(slots=True, kw_only=True)
class Utterance:
    """Something that a user said; times are of the monotonic clock."""

    question: Question
    began_at: float = 0.0
    ended_at: float = 0.0


@dataclass(slots=True, kw_only=True)
class _Speech:
    frames: deque[bytes]
    utterance: Utterance
    over: asyncio.Future[None]


@dataclass(slots=True, kw_only=True)
class Client:
    """A user in a conversation of their own."""

    stream_id: str
    user: int
    line: Line
    detection: Detection
    utterances: list[Utterance] = field(default_factory=list)
    interrupted_at: list[float] = field(default_factory=list)
    events: dict[str, int] = field(default_factory=dict)
    words_behind_s: list[float] = field(default_factory=list)
    """How long after each piece of voice the first partial words came that speak of it."""
    _heard_ms: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _speech: _Speech | None = None
    _cut: asyncio.Future[None] | None = None
    _began_at: float = 0.0

    async def listen_to_microphone(self) -> None:
        """Send frames in real time until cancelled; a single writer keeps them in order."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += FRAME_S
            await asyncio.sleep(due - loop.time())
            if self._cut is not None:
                cut, self._cut = self._cut, None
                self.interrupted_at.append(time.monotonic())
                await self.line.interrupt()
                cut.set_result(None)
            await self._send_frame()

    async def _send_frame(self) -> None:
        speech = self._speech
        if speech is None:
            await self.line.send(_QUIET)
            return
        if not speech.utterance.began_at:
            speech.utterance.began_at = self._began_at = time.monotonic()
            self._heard_ms = 0
        await self.line.send(speech.frames.popleft())
        if not speech.frames:
            speech.utterance.ended_at = time.monotonic()
            if self.detection is Detection.MANUAL:
                await self.line.commit()
            self._speech = None
            speech.over.set_result(None)

    async def say(self, question: Question, seconds: float) -> Utterance:
        """Ask something, and return once it is said."""
        pcm = voice_of(question, seconds, RATE_HERTZ, user=self.user)
        size = len(_QUIET)
        utterance = Utterance(question=question)
        self._speech = _Speech(
            frames=deque(pcm[at : at + size] for at in range(0, len(pcm), size)),
            utterance=utterance,
            over=asyncio.get_running_loop().create_future(),
        )
        await self._speech.over
        self.utterances.append(utterance)
        return utterance

    async def interrupt(self) -> None:
        """Cut the reply off with the next frame."""
        self._cut = asyncio.get_running_loop().create_future()
        await self._cut

    def hear(self, event: str, text: str) -> None:
        """Record an event."""
        if event == "transcript_updated" and (heard := _HEARD.search(text)) and self._began_at:
            before_ms, self._heard_ms = self._heard_ms, int(heard[1]) // _STEP_MS * _STEP_MS
            for ms in range(before_ms + _STEP_MS, self._heard_ms + 1, _STEP_MS):
                spoken_at = self._began_at - FRAME_S + ms / 1000
                self.words_behind_s.append(time.monotonic() - spoken_at)
        self.events[event] = self.events.get(event, 0) + 1
        self._changed.set()

    async def until(self, event: str, count: int, *, within_s: float) -> bool:
        """Wait until so many events of a kind have arrived; return whether they did."""
        try:
            async with asyncio.timeout(within_s):
                while self.events.get(event, 0) < count:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def count(self, event: str) -> int:
        """Return how many events of a kind have arrived."""
        return self.events.get(event, 0)


@asynccontextmanager
async def connected(
    stack: Stack,
    stream_id: str,
    *,
    user: int = 0,
    way: Way,
    detection: Detection,
    channel: grpc.aio.Channel,
    has_microphone: bool = True,
) -> AsyncIterator[Client]:
    """A user whose digital human is on air."""
    task_id = await stack.create_task(stream_id)
    match way:
        case Way.GATEWAY:
            address = stack.gateway_url.replace("http", "ws", 1)
            query = f"taskId={task_id}&lang=en&turnDetection={detection}"
            async with connect(
                f"{address}/api/digital-human/talk?{query}", compression=None, proxy=None
            ) as socket:
                line = SocketLine(socket)
                client = Client(stream_id=stream_id, user=user, line=line, detection=detection)
                async with _present(client, line.read, has_microphone):
                    yield client
        case Way.SPEECH:
            call = SpeechServiceStub(channel).Converse()
            await call.write(_setup(task_id, detection))
            direct = CallLine(call)
            try:
                client = Client(stream_id=stream_id, user=user, line=direct, detection=detection)
                async with _present(client, direct.read, has_microphone):
                    yield client
            finally:
                call.cancel()
                with suppress(asyncio.CancelledError):
                    await call.code()


@asynccontextmanager
async def _present(
    client: Client, read: Callable[[OnEvent], Coroutine[Any, Any, None]], has_microphone: bool
) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(read(client.hear))]
    if not await client.until("ready", 1, within_s=30):
        raise RuntimeError("the conversation is not ready")
    if has_microphone:
        tasks.append(asyncio.create_task(client.listen_to_microphone()))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _setup(task_id: str, detection: Detection) -> pb.ConverseRequest:
    return pb.ConverseRequest(
        setup=pb.ConverseSetup(
            task_id=task_id,
            language_code="en",
            input_format=audio_pb2.AudioFormat(
                encoding=audio_pb2.AUDIO_ENCODING_PCM_S16LE,
                sample_rate_hertz=RATE_HERTZ,
                channel_count=1,
            ),
            turn_detection=pb.TurnDetection.Value(f"TURN_DETECTION_{detection}"),
            output=pb.REPLY_OUTPUT_AVATAR,
        )
    )
