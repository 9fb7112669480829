"""What is recognised of one utterance while it is being spoken."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeAlias

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.speech.listening.background import in_background
from services.speech.listening.recognition import recognise, transcripts
from services.speech.ports.recognition import RecognitionRequest, Recognizer, Transcript, TurnEnd
from services.speech.streams import closing

AGAIN_S = 0.6
AGAIN_SHARE = 0.4
"""A recogniser that hears whole recordings hears an utterance under way again after so much more
voice: in seconds, and as a share of what it heard before."""
DUTY = 2.0
"""Between two such hearings it rests for so many times as long as the last one took."""

SETTLED_S = 0.15
"""At a pause, a hypothesis that stays the same for so long is what was said."""

RELEASE_S = 0.005
"""How much later than it told the final words a recogniser is released: a model is asked first."""

OnHypothesis: TypeAlias = Callable[[Transcript], None]


class Hearing(Protocol):
    """One utterance on its way to a recogniser; `pause` and `end` return without waiting."""

    @property
    def detects_turn_ends(self) -> bool:
        """Whether the hypotheses say when the speaker has finished."""

    def push(self, pcm: bytes, *, voiced_s: float) -> None:
        """More of the utterance, which has so much voice by now."""

    def pause(self) -> "asyncio.Task[Transcript]":
        """Return what was said so far, as the speaker may have finished."""

    def resume(self) -> None:
        """The speaker goes on."""

    def end(self, pcm: bytes) -> "asyncio.Task[Transcript]":
        """Return what was said in the whole utterance; the task may raise ServiceError."""

    def drop(self) -> None:
        """Nobody wants to know."""


OpenHearing: TypeAlias = Callable[[OnHypothesis, float], Hearing]
"""Begins to hear an utterance, if that takes long once there is so much voice, in seconds;
hypotheses that are not the last are told."""


def hearing_of(
    recognizer: Recognizer,
    request: RecognitionRequest,
    on_hypothesis: OnHypothesis,
    first_s: float,
) -> Hearing:
    """Begin to hear an utterance as the recogniser can."""
    if recognizer.is_streaming:
        return LiveHearing(recognizer, request, on_hypothesis)
    return RepeatedHearing(
        lambda pcm: recognise(recognizer, pcm, request), on_hypothesis, first_s=first_s
    )


class RepeatedHearing:
    """By a recogniser that hears whole recordings: now and then all of the utterance so far.

    `clock` gives the seconds in which the audio comes, by default those of the loop.
    """

    detects_turn_ends = False

    def __init__(
        self,
        recognise: Callable[[bytes], Awaitable[Transcript]],
        on_hypothesis: OnHypothesis,
        *,
        first_s: float,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._recognise = recognise
        self._first_s = first_s
        self._on_hypothesis = on_hypothesis
        self._clock = clock or asyncio.get_running_loop().time
        self._audio = bytearray()
        self._began_at = self._free_at = self._clock()
        self._heard_s = 0.0
        self._glance: asyncio.Task[None] | None = None
        self._paused: asyncio.Task[Transcript] | None = None

    def push(self, pcm: bytes, *, voiced_s: float) -> None:
        """Take more, and perhaps hear what there is."""
        self._audio += pcm
        if self._paused is None and self._is_due(voiced_s):
            self._heard_s = voiced_s
            self._glance = in_background(self._glance_at(bytes(self._audio)))

    def pause(self) -> "asyncio.Task[Transcript]":
        """Hear all so far."""
        self._stop_glancing()
        self._paused = self._paused or in_background(self._whole(bytes(self._audio)))
        return self._paused

    def resume(self) -> None:
        """What was heard is not all."""
        if self._paused is not None:
            self._paused.cancel()
            self._paused = None

    def end(self, pcm: bytes) -> "asyncio.Task[Transcript]":
        """What was heard at the last pause is all, else hear the whole."""
        self._stop_glancing()
        return self._paused or in_background(self._whole(pcm))

    def drop(self) -> None:
        """Hear no more."""
        self._stop_glancing()
        self.resume()

    def _is_due(self, voiced_s: float) -> bool:
        now = self._clock()
        if self._glance is not None and not self._glance.done():
            return False
        # A recording that comes at once is over before it could be heard in part.
        is_live = now - self._began_at >= self._first_s / 2
        more_s = max(AGAIN_S, AGAIN_SHARE * self._heard_s) if self._heard_s else self._first_s
        return is_live and now >= self._free_at and voiced_s >= self._heard_s + more_s

    def _stop_glancing(self) -> None:
        if self._glance is not None:
            self._glance.cancel()

    async def _glance_at(self, pcm: bytes) -> None:
        began_at = self._clock()
        transcript = await self._recognise(pcm)
        self._free_at = self._clock() + DUTY * (self._clock() - began_at)
        self._on_hypothesis(transcript)

    async def _whole(self, pcm: bytes) -> Transcript:
        return await self._recognise(pcm)


class LiveHearing:
    """By a recogniser that hears an utterance while it is spoken."""

    def __init__(
        self,
        recognizer: Recognizer,
        request: RecognitionRequest,
        on_hypothesis: OnHypothesis,
    ) -> None:
        self._recognizer = recognizer
        self._request = request
        self._on_hypothesis = on_hypothesis
        self._unsent = bytearray()
        self._is_over = False
        self._more = asyncio.Event()
        self._latest = Transcript(text="", is_final=False)
        self._changed = asyncio.Event()
        self._said: asyncio.Future[Transcript] = asyncio.get_running_loop().create_future()
        """The final transcript, or why there is none."""
        self._hearing = in_background(self._collect())
        self._hearing.add_done_callback(self._conclude)
        self._paused: asyncio.Task[Transcript] | None = None

    @property
    def detects_turn_ends(self) -> bool:
        """As the recogniser does."""
        return self._recognizer.detects_turn_ends

    def push(self, pcm: bytes, *, voiced_s: float) -> None:
        """Send more."""
        self._unsent += pcm
        self._more.set()

    def pause(self) -> "asyncio.Task[Transcript]":
        """Return the hypothesis once it has settled."""
        self._paused = self._paused or in_background(self._settled())
        return self._paused

    def resume(self) -> None:
        """The hypothesis will change."""
        if self._paused is not None:
            self._paused.cancel()
            self._paused = None

    def end(self, pcm: bytes) -> "asyncio.Task[Transcript]":
        """Send the end; where the stream broke, the whole is heard again."""
        self._is_over = True
        self._more.set()
        return in_background(self._final(pcm))

    def drop(self) -> None:
        """Break off."""
        self.resume()
        self._hearing.cancel()

    async def _collect(self) -> Transcript:
        heard = transcripts(self._recognizer, self._pieces(), self._request)
        async with closing(heard) as hypotheses:
            async for each in hypotheses:
                is_new = each.text != self._latest.text
                self._latest = each
                if is_new:
                    self._changed.set()
                if not each.is_final or each.turn_end is TurnEnd.CERTAIN:
                    self._on_hypothesis(each)
                if each.is_final and each.text and not self._said.done():
                    # Whoever waits for it need not wait until the recogniser is released, too.
                    self._said.set_result(each)
                    await asyncio.sleep(RELEASE_S)
        return self._latest

    def _conclude(self, hearing: "asyncio.Task[Transcript]") -> None:
        """Nothing more is heard."""
        if self._said.done():
            return
        if hearing.cancelled():
            self._said.cancel()
        elif (error := hearing.exception()) is not None:
            self._said.set_exception(error)
            self._said.exception()  # Perhaps nobody asks.
        else:
            self._said.set_result(hearing.result())

    async def _pieces(self) -> AsyncIterator[bytes]:
        while True:
            if self._unsent:
                piece = bytes(self._unsent)
                self._unsent.clear()
                yield piece
            elif self._is_over:
                return
            else:
                self._more.clear()
                await self._more.wait()

    async def _settled(self) -> Transcript:
        while not self._said.done():
            self._changed.clear()
            try:
                async with asyncio.timeout(SETTLED_S):
                    await self._changed.wait()
            except TimeoutError:
                break
        return self._latest

    async def _final(self, pcm: bytes) -> Transcript:
        try:
            return await asyncio.shield(self._said)
        except ServiceError as error:
            if error.reason is not Reason.RECOGNITION_UNAVAILABLE:
                raise
        return await recognise(self._recognizer, pcm, self._request)
