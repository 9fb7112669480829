"""Volcengine's recognizer: the big model of Doubao, live."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Self

from pydantic import Field

from services.runtime.pcm import byte_count
from services.runtime.settings.values import Name, SocketUrl
from services.speech.ports.recognition import (
    LISTENING_RATE_HERTZ,
    RecognitionRequest,
    TimedWord,
    Transcript,
    TurnEnd,
)
from services.speech.ports.stages import Stage
from services.speech.provider_settings import PauseSettings
from services.speech.streams import Deadlines, closing
from services.speech.vendors.declaration import RecognizerVendor
from services.speech.vendors.hearing import on_stream
from services.speech.vendors.http.client import Endpoint, provider_errors
from services.speech.vendors.volcengine.frame_socket import (
    EMPTY_SOUND,
    FrameSocket,
    VolcengineError,
)
from services.speech.vendors.volcengine.frames import Frame, FrameType
from services.speech.vendors.volcengine.settings import VolcengineSettings
from services.speech.vendors.websocket.client import VendorSocket, open_socket
from services.speech.vendors.websocket.pool import SocketPool

PACKET_BYTES = byte_count(0.2, LISTENING_RATE_HERTZ)
MOST_HOT_WORDS = 50
"""The service takes 100 tokens of hot words with a request."""


class VolcengineTranscriptionSettings(VolcengineSettings, PauseSettings):
    """The big model of Doubao."""

    base_url: SocketUrl = Field(
        "wss://openspeech.bytedance.com/api/v3/sauc/bigmodel_async",
        description="the address of the recognizer",
    )
    model: Name = Field(
        "volc.seedasr.sauc.duration",
        description="the resource that the account has bought: volc.seedasr.sauc.duration or"
        " .concurrent for Doubao's model 2.0, volc.bigasr.sauc.duration or .concurrent for 1.0",
    )
    vocabulary_id: str = Field("", description="a list of hot words that is kept at the vendor")
    second_pass: bool = Field(
        False, description="whether complete sentences are recognized again, slower and more exact"
    )
    drop_fillers: bool = Field(False, description="whether fillers and repetitions are left out")
    sentence_silence_ms: int = Field(
        500,
        ge=200,
        le=5000,
        description="silence that ends a sentence, and makes the end of the turn likely, in"
        " milliseconds",
    )
    turn_silence_ms: int = Field(
        300,
        ge=50,
        le=5000,
        description="how much more silence makes the end of the turn certain, in milliseconds",
    )


def open(
    settings: VolcengineTranscriptionSettings, deadlines: Deadlines
) -> AbstractAsyncContextManager["VolcengineRecognizer"]:
    """The recognizer that the settings describe."""
    return VolcengineRecognizer.open(settings, deadlines)


class VolcengineRecognizer:
    """Recognizes each utterance on a connection of its own, which is open before it is needed.

    The model knows Chinese, its dialects, and English by itself, and is told no language.
    """

    is_streaming = True

    def __init__(
        self, settings: VolcengineTranscriptionSettings, endpoint: Endpoint, pool: SocketPool
    ) -> None:
        self._settings = settings
        self._endpoint = endpoint
        self._pool = pool

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: VolcengineTranscriptionSettings, deadlines: Deadlines
    ) -> AsyncIterator[Self]:
        """A recognizer with its own connections."""
        endpoint = Endpoint.of(settings, deadlines)

        def connect() -> AbstractAsyncContextManager[VendorSocket]:
            return open_socket(
                endpoint, Stage.RECOGNITION, url=settings.base_url, headers=settings.headers()
            )

        async with SocketPool.open(connect) as pool:
            yield cls(settings, endpoint, pool)

    @property
    def name(self) -> str:
        """The provider's name in logs and metrics."""
        return self._endpoint.name

    @property
    def detects_turn_ends(self) -> bool:
        """As it is set."""
        return self._settings.ends_turns

    async def transcribe(
        self, audio: AsyncIterator[bytes], request: RecognitionRequest
    ) -> AsyncIterator[Transcript]:
        """Yield hypotheses while audio arrives; raises ProviderError."""
        with provider_errors(Stage.RECOGNITION, self.name):
            async with closing(audio), self._pool.lend() as loan:
                frames = FrameSocket(loan.socket, self._endpoint, Stage.RECOGNITION)
                utterance = _Utterance(frames, silence_s=self._settings.turn_silence_s)
                await frames.send(Frame.of(self._request(request)))
                transcripts = on_stream(
                    audio,
                    utterance.transcripts(),
                    send=utterance.send,
                    finish=utterance.finish,
                    packet_bytes=PACKET_BYTES,
                    deadlines=self._endpoint.deadlines,
                    provider=self.name,
                )
                async with closing(transcripts):
                    async for transcript in transcripts:
                        yield transcript

    def _request(self, request: RecognitionRequest) -> dict[str, Any]:
        wanted: dict[str, Any] = {
            "model_name": "bigmodel",
            "enable_itn": True,
            "enable_punc": True,
            "enable_ddc": self._settings.drop_fillers,
            "enable_nonstream": self._settings.second_pass,
            "show_utterances": True,
            "result_type": "full",
            "end_window_size": self._settings.sentence_silence_ms,
        }
        corpus: dict[str, Any] = {}
        if self._settings.vocabulary_id:
            corpus["boosting_table_id"] = self._settings.vocabulary_id
        if request.hot_words:
            words = [{"word": word} for word in request.hot_words[:MOST_HOT_WORDS]]
            corpus["context"] = json.dumps({"hotwords": words}, ensure_ascii=False)
        if corpus:
            wanted["corpus"] = corpus
        return {
            "user": {"uid": "parley"},
            "audio": {
                "format": "pcm",
                "codec": "raw",
                "rate": LISTENING_RATE_HERTZ,
                "bits": 16,
                "channel": 1,
            },
            "request": wanted,
        }


class _Utterance:
    """One utterance: its sound, and what is heard of it.

    `silence_s` after a complete sentence ends the turn, None: never.
    """

    def __init__(self, frames: FrameSocket, *, silence_s: float | None) -> None:
        self._frames = frames
        self._silence_s = silence_s
        self._heard = Transcript(text="", is_final=False)
        self._is_sound_finished = False
        self._certain_at: float | None = None
        """When the end of the turn is certain, in loop time, if nothing more is said."""

    async def send(self, pcm: bytes) -> None:
        """Add sound."""
        await self._frames.send(Frame(type=FrameType.SOUND, payload=pcm))

    async def finish(self) -> None:
        """End the sound."""
        self._is_sound_finished, self._certain_at = True, None
        await self._frames.send(Frame(type=FrameType.SOUND, is_last=True))

    async def transcripts(self) -> AsyncIterator[Transcript]:
        """Yield hypotheses, then the final transcript.

        While sound flows, the latter is a complete sentence that nothing follows for a while.
        """
        while True:
            try:
                async with asyncio.timeout_at(self._certain_at):
                    frame = await self._frames.receive()
            except TimeoutError:
                if self._certain_at is not None:
                    yield self._final(TurnEnd.CERTAIN)
                    return
                continue  # The sound has ended meanwhile.
            except VolcengineError as error:
                if error.code != EMPTY_SOUND or not self._is_sound_finished:
                    raise
                yield self._final(None)
                return
            transcript = self._read(frame)
            if frame.is_last:
                yield self._final(None if self._is_sound_finished else TurnEnd.CERTAIN)
                return
            if transcript is not None:
                yield transcript

    def _final(self, turn_end: TurnEnd | None) -> Transcript:
        return Transcript(
            text=self._heard.text, is_final=True, words=self._heard.words, turn_end=turn_end
        )

    def _read(self, frame: Frame) -> Transcript | None:
        """Return the hypothesis in a frame, if there is one; raises ProviderError."""
        if frame.type != FrameType.RESPONSE or not frame.payload:
            return None
        if (failure := self._frames.failure_in(frame)) is not None:
            raise failure
        try:
            result = frame.document.get("result") or {}
            if "text" not in result:
                return None
            utterances = result.get("utterances") or []
            heard = Transcript(
                text=_text(result["text"]), is_final=False, words=tuple(_words(utterances))
            )
            is_complete = bool(utterances) and all(each.get("definite") for each in utterances)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise self._frames.malformed("a result of another shape") from None
        has_changed = heard.text != self._heard.text
        self._heard = heard
        return Transcript(
            text=heard.text,
            is_final=False,
            words=heard.words,
            turn_end=self._turn_end(is_complete=is_complete, has_changed=has_changed),
        )

    def _turn_end(self, *, is_complete: bool, has_changed: bool) -> TurnEnd | None:
        """Return what a hypothesis says of the end of the turn, and remember it."""
        if self._silence_s is None or self._is_sound_finished or not self._heard.text:
            return None
        if is_complete:
            if self._certain_at is not None and not has_changed:
                return None
            self._certain_at = asyncio.get_running_loop().time() + self._silence_s
            return TurnEnd.LIKELY
        if self._certain_at is not None and has_changed:
            self._certain_at = None
            return TurnEnd.RESUMED
        return None


def _text(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError("a text that is none")
    return text.strip()


def _words(utterances: list[Any]) -> list[TimedWord]:
    return [
        TimedWord(
            text=str(word["text"]).strip(),
            start_s=float(word["start_time"]) / 1000,
            end_s=float(word["end_time"]) / 1000,
        )
        for utterance in utterances
        for word in utterance.get("words") or ()
        if str(word["text"]).strip() and word["start_time"] >= 0
    ]


VENDOR = RecognizerVendor(settings=VolcengineTranscriptionSettings, open=open)
