"""Volcengine's voices: those of Doubao, which speak a reply while it is written."""

import json
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from pydantic import Field

from services.runtime.languages import primary
from services.runtime.pcm import duration_s
from services.runtime.settings.values import Name, Names, SocketUrl
from services.speech.ports.stages import Stage
from services.speech.ports.synthesis import SpeechChunk, SpeechRequest
from services.speech.provider_settings import SynthesizerVendorSettings
from services.speech.streams import closing
from services.speech.vendors.alignment import TextCursor
from services.speech.vendors.declaration import SynthesizerVendor
from services.speech.vendors.http.client import Endpoint, provider_errors
from services.speech.vendors.pooled_speech import SAMPLE_RATE_HERTZ, PooledSynthesizer
from services.speech.vendors.volcengine.frames import Frame, FrameType
from services.speech.vendors.volcengine.sessions import (
    EventCode,
    Session,
    open_connection,
    open_session,
)
from services.speech.vendors.volcengine.settings import VolcengineSettings
from services.speech.vendors.websocket.client import VendorSocket
from services.speech.vendors.word_times import TimedText, TimeSpan, placed

SLOWEST, FASTEST = 0.5, 2.0
_NAMED = {"ja": "ja", "es": "es-mx", "id": "id", "pt": "pt-br", "de": "de", "fr": "fr"}
"""Languages that the voices must be told: they read Chinese and English mixed."""


class VolcengineSpeechSettings(VolcengineSettings, SynthesizerVendorSettings):
    """The voices of Doubao."""

    base_url: SocketUrl = Field(
        "wss://openspeech.bytedance.com/api/v3/tts/bidirection",
        description="the address of the synthesizer",
    )
    model: Name = Field(
        "seed-tts-2.0",
        description="the resource that the account has bought, which must match the voices:"
        " seed-tts-2.0, seed-tts-1.0, or seed-icl-2.0 for cloned ones",
    )
    voices: Names = Field(
        "zh_female_vv_uranus_bigtts,zh_male_m191_uranus_bigtts",
        description="voices of the resource, separated by commas, the default first",
    )
    variant: str = Field(
        "", description="a model of the resource, such as seed-tts-1.1; empty for its default"
    )
    word_times: bool = Field(True, description="whether to ask for the times of words")
    cancel_s: float = Field(
        0.08,
        ge=0,
        le=1,
        description="seconds that the end of a reply that breaks off may take; after that its"
        " connection is replaced",
    )
    loudness: float = Field(1.0, ge=0.5, le=2, description="factor of the loudness")


class VolcengineSynthesizer(PooledSynthesizer[VolcengineSpeechSettings]):
    """Speaks each reply in one session, on connections that serve many."""

    @classmethod
    def connect(
        cls, settings: VolcengineSpeechSettings, endpoint: Endpoint
    ) -> AbstractAsyncContextManager[VendorSocket]:
        """A connection that takes sessions; raises ProviderError."""
        return open_connection(settings, endpoint)

    async def speak(
        self, texts: AsyncIterator[str], request: SpeechRequest
    ) -> AsyncIterator[SpeechChunk]:
        """Yield the audio as it arrives, in whole samples; raises ProviderError."""
        opening = open_session(
            self._pool,
            self._endpoint,
            self._start(request),
            cancel_s=self._settings.cancel_s,
        )
        with provider_errors(Stage.SYNTHESIS, self.name):
            async with (
                closing(texts),
                opening as session,
                closing(self._spoken(texts, _Speech(session))) as chunks,
            ):
                async for chunk in chunks:
                    yield chunk

    def _start(self, request: SpeechRequest) -> Mapping[str, Any]:
        audio: dict[str, Any] = {
            "format": "pcm",
            "sample_rate": SAMPLE_RATE_HERTZ,
            "speech_rate": _percent_more(min(max(request.speed, SLOWEST), FASTEST)),
            "loudness_rate": _percent_more(self._settings.loudness),
        }
        if self._settings.word_times:
            # Older voices time words at the end of a sentence, newer ones in subtitles.
            audio |= {"enable_timestamp": True, "enable_subtitle": True}
        if request.emotion:
            audio["emotion"] = request.emotion
        wanted: dict[str, Any] = {"speaker": request.voice_id, "audio_params": audio}
        if self._settings.variant:
            wanted["model"] = self._settings.variant
        additions: dict[str, Any] = {}
        if (language := primary(request.language_code)) in _NAMED:
            additions["explicit_language"] = _NAMED[language]
        if request.style:
            additions["context_texts"] = [request.style]
        if additions:
            wanted["additions"] = json.dumps(additions, ensure_ascii=False)
        return {"user": {"uid": "parley"}, "req_params": wanted}


_WITH_DOCUMENTS = (EventCode.SENTENCE_START, EventCode.SENTENCE_END, EventCode.SUBTITLE)


def _percent_more(factor: float) -> int:
    return round(100 * (factor - 1))


class _Speech:
    """The audio of one session, and where in it and in its text the sentences and words are."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._text_length = 0
        self._words = TextCursor()
        self._sentences = TextCursor()
        self._odd = b""
        self._pcm_bytes = 0
        self._sentence = ""
        self._sentence_start_s = 0.0
        self._has_timed_ends = False
        self._untimed: deque[TimeSpan] = deque()
        """The ended sentences whose words a subtitle may still time."""

    async def send(self, text: str) -> None:
        """Add text."""
        self._text_length += len(text)
        self._words.add(text)
        self._sentences.add(text)
        await self._session.send_text(text)

    async def finish(self) -> None:
        """End the texts."""
        await self._session.finish()

    async def chunks(self) -> AsyncIterator[SpeechChunk]:
        """Yield the audio in whole samples, with the words of each sentence after it."""
        async with closing(self._session.events()) as events:
            async for frame in events:
                try:
                    chunk = self._chunk(frame)
                except (ValueError, TypeError, KeyError, AttributeError):
                    raise self._session.malformed("an event of another shape") from None
                if chunk is not None:
                    yield chunk
        if self._odd:
            raise self._session.malformed("it ends within a sample")
        yield SpeechChunk(pcm=b"", text_end=self._text_length)

    def _chunk(self, frame: Frame) -> SpeechChunk | None:
        if frame.type == FrameType.SPEECH:
            return self._sound(frame.payload)
        if frame.event not in _WITH_DOCUMENTS:
            return None
        document = frame.document if frame.payload else {}
        if frame.event == EventCode.SENTENCE_END:
            return self._end(document)
        if frame.event == EventCode.SUBTITLE:
            return self._subtitle(document)
        self._sentence = str(document.get("text") or "")
        return None

    def _sound(self, sound: bytes) -> SpeechChunk:
        pcm = self._odd + sound
        whole = len(pcm) - len(pcm) % 2
        self._odd = pcm[whole:]
        self._pcm_bytes += whole
        return SpeechChunk(pcm=pcm[:whole])

    def _end(self, document: Mapping[str, Any]) -> SpeechChunk:
        span = self._span()
        self._sentence_start_s = span.end_s
        place = self._sentences.find(str(document.get("text") or self._sentence))
        words = placed(_timed(document), span, self._words)
        if words:
            self._has_timed_ends = True
        else:
            self._untimed.append(span)
        ends = [place[1]] if place else [word.end for word in words[-1:]]
        return SpeechChunk(pcm=b"", words=words, text_end=ends[0] if ends else None)

    def _subtitle(self, document: Mapping[str, Any]) -> SpeechChunk | None:
        if self._has_timed_ends:
            return None
        span = self._untimed.popleft() if self._untimed else self._span()
        return SpeechChunk(pcm=b"", words=placed(_timed(document), span, self._words))

    def _span(self) -> TimeSpan:
        """Return where the current sentence is."""
        return TimeSpan(
            start_s=self._sentence_start_s,
            end_s=duration_s(self._pcm_bytes, SAMPLE_RATE_HERTZ),
        )


def _timed(document: Mapping[str, Any]) -> list[TimedText]:
    return [
        TimedText(
            text=str(word["word"]),
            start_s=float(word["startTime"]),
            end_s=float(word["endTime"]),
        )
        for word in document.get("words") or ()
    ]


VENDOR = SynthesizerVendor(settings=VolcengineSpeechSettings, open=VolcengineSynthesizer.open)
