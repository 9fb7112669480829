"""One turn of a task's conversation: the requests for it, and its outcome."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import structlog

from digitalhuman.audio.v1 import audio_pb2
from digitalhuman.conversation.v1 import conversation_pb2
from digitalhuman.speech.v1 import speech_pb2 as pb
from gateway.backend.services import CALL_TIMEOUT_S, Backend
from gateway.backend.streams import is_unwritten
from gateway.contract.wire import from_failed_status
from gateway.decoding.decoder import RATE_HERTZ
from gateway.telemetry import FIRST_SOUND_SECONDS, INTERRUPTIONS, TURNS
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.runtime.wire import to_duration

log = structlog.get_logger(__name__)

CHUNK_BYTES = 32_000
"""One second; the proto limits a chunk to 32768 bytes."""

_MOST_UNWRITTEN = 2
"""How often a question is sent again when gRPC lost the reason why its stream ended."""


def setup(
    task_id: str,
    lang: str = "",
    *,
    turn_detection: pb.TurnDetection.ValueType = pb.TURN_DETECTION_MANUAL,
    after: int | None = None,
    cut_on_cancel: bool = False,
) -> pb.ConverseRequest:
    """Return the setup of a stream whose replies the task's avatar speaks.

    The events after the sequence `after` come first. Its turns go on when the stream is left
    before their end, except with `cut_on_cancel`.
    """
    return pb.ConverseRequest(
        setup=pb.ConverseSetup(
            task_id=task_id,
            language_code=lang,
            input_format=audio_pb2.AudioFormat(
                encoding=audio_pb2.AUDIO_ENCODING_PCM_S16LE,
                sample_rate_hertz=RATE_HERTZ,
                channel_count=1,
            ),
            turn_detection=turn_detection,
            output=pb.REPLY_OUTPUT_AVATAR,
            resume_after_sequence=after,
            cut_on_cancel=cut_on_cancel,
        )
    )


def spoken(pcm: bytes) -> list[pb.ConverseRequest]:
    """Return the requests of an utterance."""
    chunks = (pcm[at : at + CHUNK_BYTES] for at in range(0, len(pcm), CHUNK_BYTES))
    return [
        *(pb.ConverseRequest(audio=pb.ConverseAudio(pcm=chunk)) for chunk in chunks),
        *commit(),
    ]


def commit() -> list[pb.ConverseRequest]:
    """Return the requests that end an utterance."""
    return [pb.ConverseRequest(commit=pb.ConverseCommit())]


def written(text: str, *, request_id: str = "") -> list[pb.ConverseRequest]:
    """Return the requests of a question in writing."""
    return [pb.ConverseRequest(text=pb.ConverseText(text=text, request_id=request_id))]


def said(
    text: str, priority: str, *, request_id: str = "", interruptible: bool = True
) -> list[pb.ConverseRequest]:
    """Return the requests of words for the digital human to say."""
    level = pb.SayPriority.Value(f"SAY_PRIORITY_{priority}")
    say = pb.ConverseSay(
        text=text, priority=level, request_id=request_id, interruptible=interruptible
    )
    return [pb.ConverseRequest(say=say)]


def request_id_of(request: pb.ConverseRequest) -> str:
    """Return the id of a text or of words to say; empty for all other requests."""
    return request.text.request_id or request.say.request_id


def withdrawal(request_id: str) -> list[pb.ConverseRequest]:
    """Return the requests that take back words to say."""
    return [pb.ConverseRequest(withdraw=pb.ConverseWithdraw(request_id=request_id))]


def greeting() -> list[pb.ConverseRequest]:
    """Return the requests for a greeting."""
    return [pb.ConverseRequest(greet=pb.ConverseGreet())]


def interruption() -> list[pb.ConverseRequest]:
    """Return the requests that cut off whatever is being said."""
    return [pb.ConverseRequest(interrupt=pb.ConverseInterrupt())]


def tool_result(call_id: str, result: str, *, failed: bool) -> list[pb.ConverseRequest]:
    """Return the requests that pass on what a function of the app returned."""
    answer = pb.ConverseToolResult(call_id=call_id, result=result, failed=failed)
    return [pb.ConverseRequest(tool_result=answer)]


def leaving(linger_s: float) -> list[pb.ConverseRequest]:
    """Return the requests of a client that leaves; the task outlives its streams by `linger_s`."""
    leave = pb.ConverseLeave(linger_duration=to_duration(linger_s))
    return [pb.ConverseRequest(leave=leave)]


async def converse(
    backend: Backend, requests: list[pb.ConverseRequest], *, timeout_s: float
) -> AsyncGenerator[pb.ConverseResponse, None]:
    """Send requests and half-close; yield `ready` and events until the stream ends.

    A turn that has begun goes on when the generator is closed, unless the setup says otherwise.
    """
    async with aclosing(_held(backend, requests, timeout_s=timeout_s)) as responses:
        async for response in responses:
            count(response.event)
            yield response


async def deliver(
    backend: Backend, requests: list[pb.ConverseRequest], *, timeout_s: float
) -> None:
    """Send requests that begin no turn, and return once they were accepted."""
    async with aclosing(_held(backend, requests, timeout_s=timeout_s)) as responses:
        async for _ in responses:
            pass


async def _held(
    backend: Backend, requests: list[pb.ConverseRequest], *, timeout_s: float
) -> AsyncGenerator[pb.ConverseResponse, None]:
    """Hold a stream for the requests, at the next replica if one shuts down before it takes them.

    A replica has accepted the stream by then, but sends it on, as it would an idle line.
    """
    start, *rest = requests
    request_id = request_id_of(requests[-1])
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + timeout_s
    is_ready = False
    unwritten_left = _MOST_UNWRITTEN
    while True:
        is_taken = False
        left_s = max(0.0, ends_at - loop.time())
        try:
            async with backend.converse(
                start, _each(rest), timeout_s=left_s, patience_s=CALL_TIMEOUT_S
            ) as responses:
                async for response in responses:
                    is_taken |= _shows_taken(response.event, request_id)
                    if response.HasField("event") or not is_ready:
                        yield response
                    is_ready = True
            return
        except ServiceError as error:
            if is_taken:
                raise
            if error.reason is not Reason.DRAINING:
                # A replica that refused will do so again, and then its reason most likely arrives.
                if not is_unwritten(error) or not unwritten_left:
                    raise
                unwritten_left -= 1


def _shows_taken(event: conversation_pb2.ConversationEvent, request_id: str) -> bool:
    """Whether a request may have been taken; one with an id is known by the turn that it began."""
    if request_id:
        return event.turn_started.request_id == request_id
    return event.WhichOneof("event") is not None


def without_turn() -> ServiceError:
    """Return the error for a question that led to no turn."""
    return ServiceError(Reason.DEPENDENCY_UNAVAILABLE, "The conversation ended without an answer.")


async def _each(requests: list[pb.ConverseRequest]) -> AsyncGenerator[pb.ConverseRequest, None]:
    for request in requests:
        yield request


def count(event: conversation_pb2.ConversationEvent) -> None:
    """Count an event that ends a turn."""
    if event.HasField("turn_finished"):
        _count_finished(event.turn_id, event.turn_finished)
    elif event.HasField("turn_failed"):
        TURNS.labels(outcome="failed").inc()
        reason = from_failed_status(event.turn_failed.status).reason
        log.warning("turn failed", turn_id=event.turn_id, reason=str(reason))


def _count_finished(turn_id: int, finished: conversation_pb2.TurnFinished) -> None:
    TURNS.labels(outcome="interrupted" if finished.interrupted else "finished").inc()
    if finished.interrupted:
        INTERRUPTIONS.inc()
    if finished.latency.HasField("playback_started_offset"):
        offset = finished.latency.playback_started_offset
        FIRST_SOUND_SECONDS.observe(max(0.0, offset.ToNanoseconds() / 1e9))
    log.info("turn finished", turn_id=turn_id, interrupted=finished.interrupted)
