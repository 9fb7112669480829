"""What a client says on its way to speech: in order, bounded, and kept until it has been taken."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator

from digitalhuman.speech.v1 import speech_pb2 as pb
from gateway.turns import CHUNK_BYTES

WAITING_REQUESTS = 64
WAITING_BYTES = 320_000
"""Ten seconds of audio; a client that sends more waits."""


class Uplink:
    """Outlives the streams that carry it: what one could not deliver, the next does.

    With `keeps_utterances` the audio of an utterance is kept until its `commit`, and a stream that
    takes over in between is told it from the start: it alone decides what was said.
    """

    def __init__(self, *, keeps_utterances: bool) -> None:
        self._keeps_utterances = keeps_utterances
        self._utterance: list[pb.ConverseRequest] = []
        self._waiting: deque[pb.ConverseRequest] = deque()
        self._waiting_bytes = 0
        self._under_way: pb.ConverseRequest | None = None
        self._changed = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()

    async def room(self) -> None:
        """Wait until there is room for more."""
        await self._has_room.wait()

    def hear(self, pcm: bytes) -> None:
        """Add audio; it joins audio that still waits."""
        last = self._waiting[-1] if self._waiting else None
        if last is not None and 0 < len(last.audio.pcm) <= CHUNK_BYTES - len(pcm):
            last.audio.pcm += pcm
            self._waiting_bytes += len(pcm)
            self._note_room()
            return
        for at in range(0, len(pcm), CHUNK_BYTES):
            self.add(pb.ConverseRequest(audio=pb.ConverseAudio(pcm=pcm[at : at + CHUNK_BYTES])))

    def add(self, request: pb.ConverseRequest) -> None:
        """Add a request."""
        self._waiting.append(request)
        self._waiting_bytes += len(request.audio.pcm)
        self._changed.set()
        self._note_room()

    async def requests(self) -> AsyncGenerator[pb.ConverseRequest, None]:
        """Yield what is to be written to one stream, for as long as that lives.

        Asking for the next says that the one before was written.
        """
        for request in self._utterance:
            yield request
        while True:
            if self._under_way is None:
                self._under_way = await self._next()
            yield self._under_way
            self._keep(self._under_way)
            self._under_way = None

    async def _next(self) -> pb.ConverseRequest:
        while not self._waiting:
            self._changed.clear()
            await self._changed.wait()
        request = self._waiting.popleft()
        self._waiting_bytes -= len(request.audio.pcm)
        self._note_room()
        return request

    def _keep(self, written: pb.ConverseRequest) -> None:
        if written.HasField("commit"):
            self._utterance.clear()
        elif self._keeps_utterances and written.HasField("audio"):
            self._utterance.append(written)

    def _note_room(self) -> None:
        if len(self._waiting) < WAITING_REQUESTS and self._waiting_bytes < WAITING_BYTES:
            self._has_room.set()
        else:
            self._has_room.clear()
