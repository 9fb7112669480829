"""A client's input on its way to speech: in order, bounded, and kept until it was taken."""

from collections.abc import AsyncGenerator

from digitalhuman.conversation.v1 import conversation_pb2
from digitalhuman.speech.v1 import speech_pb2 as pb
from gateway.backend.turns import CHUNK_BYTES, request_id_of
from services.runtime.queues.bounded_queue import BoundedQueue

WAITING_REQUESTS = 64
WAITING_BYTES = 320_000
"""Ten seconds of audio; a client that sends more has to wait."""

KEPT_SENTENCES = 17
"""Speech queues 16 turns behind the current one: anything older was dropped."""


class Uplink:
    """Outlives the streams that carry it: what one could not deliver, the next does.

    What was written may still be lost with its stream. So texts and words to say are written again
    to the next one until a turn is reported for them; speech recognises them by their `request_id`
    and takes them once. With `keeps_utterances` the audio of an utterance is kept until its
    `commit`, and a stream that takes over in between gets it from the start, because it alone
    recognises what was said.
    """

    def __init__(self, *, keeps_utterances: bool) -> None:
        self._keeps_utterances = keeps_utterances
        self._kept: list[pb.ConverseRequest] = []
        self._waiting: BoundedQueue[pb.ConverseRequest] = BoundedQueue(
            max_items=WAITING_REQUESTS,
            max_size=WAITING_BYTES,
            size_of=lambda request: len(request.audio.pcm),
        )
        self._under_way: pb.ConverseRequest | None = None

    @property
    def has_room(self) -> bool:
        """Whether `room` would not wait."""
        return self._waiting.has_room

    async def room(self) -> None:
        """Wait until there is room for more."""
        await self._waiting.room()

    def add_audio(self, pcm: bytes) -> None:
        """Add audio; it joins audio that still waits."""
        newest = self._waiting.newest
        if newest is not None and 0 < len(newest.audio.pcm) <= CHUNK_BYTES - len(pcm):
            pcm = self._waiting.pop_newest().audio.pcm + pcm
        for at in range(0, len(pcm), CHUNK_BYTES):
            self.add(pb.ConverseRequest(audio=pb.ConverseAudio(pcm=pcm[at : at + CHUNK_BYTES])))

    def add(self, request: pb.ConverseRequest) -> None:
        """Add a request; its caller has waited for `room`."""
        self._waiting.force(request)

    def note(self, event: conversation_pb2.ConversationEvent) -> None:
        """Drop what an event shows to have been taken."""
        if taken := event.turn_started.request_id:
            self._kept = [each for each in self._kept if request_id_of(each) != taken]

    async def requests(self) -> AsyncGenerator[pb.ConverseRequest, None]:
        """Yield the requests for one stream, for as long as it lives.

        Asking for the next one confirms that the one before was written.
        """
        for request in tuple(self._kept):
            yield request
        while True:
            if self._under_way is None:
                request = await self._waiting.get()
                if self._is_to_keep(request):
                    # Before it is written: its turn may be reported before the write returns.
                    self._keep(request)
                    yield request
                    continue
                self._under_way = request
            yield self._under_way
            self._note_written(self._under_way)
            self._under_way = None

    def _is_to_keep(self, request: pb.ConverseRequest) -> bool:
        if request.HasField("audio"):
            return self._keeps_utterances
        # LOW is dropped while something is being said, so it is not worth a second try.
        return bool(request_id_of(request)) and request.say.priority != pb.SAY_PRIORITY_LOW

    def _keep(self, request: pb.ConverseRequest) -> None:
        self._kept.append(request)
        if request.HasField("audio"):
            return
        sentences = [each for each in self._kept if request_id_of(each)]
        if len(sentences) > KEPT_SENTENCES:
            self._kept.remove(sentences[0])

    def _note_written(self, request: pb.ConverseRequest) -> None:
        if request.HasField("commit"):
            self._kept = [each for each in self._kept if not each.HasField("audio")]
        elif request.HasField("interrupt"):
            # It cancels everything that was sent before it and may be cut off.
            self._kept = [
                each for each in self._kept if not request_id_of(each) or _outlives_interrupt(each)
            ]
        elif withdrawn := request.withdraw.request_id:
            self._kept = [each for each in self._kept if each.say.request_id != withdrawn]


def _outlives_interrupt(request: pb.ConverseRequest) -> bool:
    return request.say.HasField("interruptible") and not request.say.interruptible
