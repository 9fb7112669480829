"""MiniMax's voices, which speak a reply text by text while it is written."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import structlog
from pydantic import Field

from services.runtime.languages import primary
from services.runtime.pcm import duration_s
from services.runtime.settings.values import Name, Names, SocketUrl
from services.speech.answers import has_words
from services.speech.ports.errors import ProviderError, ProviderQuotaError
from services.speech.ports.stages import Stage
from services.speech.ports.synthesis import SpeechChunk, SpeechRequest, WordTime
from services.speech.provider_settings import SynthesizerVendorSettings
from services.speech.streams import closing
from services.speech.vendors.alignment import TextCursor
from services.speech.vendors.declaration import SynthesizerVendor
from services.speech.vendors.documents import parse_json
from services.speech.vendors.http.client import Endpoint, malformed_answer, provider_errors
from services.speech.vendors.http.error_details import redacted
from services.speech.vendors.pooled_speech import SAMPLE_RATE_HERTZ, PooledSynthesizer
from services.speech.vendors.websocket.client import VendorSocket, open_socket
from services.speech.vendors.word_times import TimedText, TimeSpan, placed

log = structlog.get_logger(__name__)

SLOWEST, FASTEST = 0.5, 2.0
_QUOTA = frozenset((1002, 1008, 1039, 1041, 2045, 2056))
_TEMPORARY = frozenset((1000, 1001, 1013, 1024, 1033))
_LANGUAGES = {
    "zh": "Chinese",
    "yue": "Chinese,Yue",
    "en": "English",
    "ar": "Arabic",
    "cs": "Czech",
    "de": "German",
    "el": "Greek",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "hi": "Hindi",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "th": "Thai",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "vi": "Vietnamese",
}


class MiniMaxSpeechSettings(SynthesizerVendorSettings):
    """MiniMax's voices."""

    kind: ClassVar[str] = "minimax"
    needs_key: ClassVar[bool] = True
    base_url: SocketUrl = Field(
        "wss://api.minimaxi.com/ws/v1/t2a_v2",
        description="the address of the synthesizer: api.minimaxi.com for accounts of mainland"
        " China, api.minimax.io for others",
    )
    model: Name = Field("speech-2.6-turbo", description="model of the synthesizer")
    voices: Names = Field(
        "female-shaonv,male-qn-qingse",
        description="voices of the account, separated by commas, the default first",
    )
    word_times: bool = Field(True, description="whether to ask for the times of words")
    loudness: float = Field(1.0, gt=0, le=10, description="factor of the loudness")

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a connection, the key among them."""
        assert self.key is not None
        return {"Authorization": f"Bearer {self.key.get_secret_value()}"}


class MiniMaxSynthesizer(PooledSynthesizer[MiniMaxSpeechSettings]):
    """Speaks each reply in one task, on a connection of its own that is open before it is needed.

    MiniMax closes the connection with the task; closing it early cancels the task.
    """

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, settings: MiniMaxSpeechSettings, endpoint: Endpoint
    ) -> AsyncIterator[VendorSocket]:
        """A connection that takes a task; raises ProviderError."""
        opening = open_socket(
            endpoint, Stage.SYNTHESIS, url=settings.base_url, headers=settings.headers
        )
        async with opening as socket:
            with provider_errors(Stage.SYNTHESIS, endpoint.name):
                async with asyncio.timeout(endpoint.deadlines.first_s):
                    await _Task(socket, endpoint).wait_for("connected_success")
            yield socket

    async def speak(
        self, texts: AsyncIterator[str], request: SpeechRequest
    ) -> AsyncIterator[SpeechChunk]:
        """Yield the audio as it arrives, in whole samples; raises ProviderError."""
        with provider_errors(Stage.SYNTHESIS, self.name):
            async with closing(texts), self._pool.lend() as loan:
                task = _Task(loan.socket, self._endpoint)
                async with asyncio.timeout(self._endpoint.deadlines.first_s):
                    await task.send("task_start", self._start(request))
                    await task.wait_for("task_started")
                async with closing(self._spoken(texts, _Speech(task))) as chunks:
                    async for chunk in chunks:
                        yield chunk

    def _start(self, request: SpeechRequest) -> dict[str, Any]:
        voice: dict[str, Any] = {
            "voice_id": request.voice_id,
            "speed": min(max(request.speed, SLOWEST), FASTEST),
            "vol": self._settings.loudness,
            "pitch": 0,
        }
        if request.emotion:
            voice["emotion"] = request.emotion
        start: dict[str, Any] = {
            "model": self._endpoint.model,
            "voice_setting": voice,
            "audio_setting": {
                "sample_rate": SAMPLE_RATE_HERTZ,
                "format": "pcm",
                "channel": 1,
            },
            "language_boost": _LANGUAGES.get(primary(request.language_code), "auto"),
        }
        if self._settings.word_times:
            start |= {"subtitle_enable": True, "subtitle_type": "word"}
        return start


class _Task:
    """A task on a connection."""

    def __init__(self, socket: VendorSocket, endpoint: Endpoint) -> None:
        self._socket = socket
        self._endpoint = endpoint

    async def send(self, event: str, members: Mapping[str, Any]) -> None:
        """Send an event; raises ProviderError."""
        await self._socket.send(json.dumps({"event": event, **members}, ensure_ascii=False))

    async def wait_for(self, event: str) -> None:
        """Receive up to an event; raises ProviderError."""
        while (await self.receive()).get("event") != event:
            pass

    async def receive(self) -> dict[str, Any]:
        """Return the next event; raises ProviderError, also for one that reports an error."""
        while True:
            message = await self._socket.receive()
            if isinstance(message, bytes):
                continue
            try:
                document: dict[str, Any] = parse_json(message)
                report = document.get("base_resp") or {}
                code, said = int(report.get("status_code", 0)), str(report.get("status_msg", ""))
                trace_id = str(document.get("trace_id") or report.get("trace_id") or "")
            except (ValueError, TypeError, AttributeError):
                raise self.malformed("a message of another shape") from None
            if code or document.get("event") == "task_failed":
                raise self._failure(code, said, trace_id)
            return document

    def malformed(self, what: str) -> ProviderError:
        """Return the error for a message that breaks the protocol."""
        return malformed_answer(Stage.SYNTHESIS, self._endpoint, what)

    def _failure(self, code: int, text: str, trace_id: str) -> ProviderError:
        name = self._endpoint.name
        log.warning(
            "vendor reported an error",
            stage=Stage.SYNTHESIS,
            provider=name,
            code=code,
            trace_id=trace_id or self._connection_trace_id,
        )
        what = f"the provider fails with code {code}"
        said = redacted(text, self._endpoint.api_key)
        if code in _QUOTA:
            return ProviderQuotaError(Stage.SYNTHESIS, name, what, vendor_message=said)
        is_transient = not code or code in _TEMPORARY
        return ProviderError(
            Stage.SYNTHESIS, name, what, transient=is_transient, vendor_message=said
        )

    @property
    def _connection_trace_id(self) -> str:
        headers = {key.lower(): value for key, value in self._socket.response_headers.items()}
        return headers.get("trace-id", "")


class _Speech:
    """The audio of one task, and where in it and in its texts the words are."""

    def __init__(self, task: _Task) -> None:
        self._task = task
        self._text_length = 0
        self._cursor = TextCursor()
        self._ends: deque[int] = deque()
        """Where the texts end whose audio is not complete."""
        self._odd = b""
        self._pcm_bytes = 0
        self._text_start_s = 0.0

    async def send(self, text: str) -> None:
        """Add a text; one without words is not spoken."""
        self._text_length += len(text)
        self._cursor.add(text)
        if has_words(text):
            self._ends.append(self._text_length)
            await self._task.send("task_continue", {"text": text})

    async def finish(self) -> None:
        """End the texts."""
        await self._task.send("task_finish", {})

    async def chunks(self) -> AsyncIterator[SpeechChunk]:
        """Yield the audio in whole samples, with its words."""
        while (document := await self._task.receive()).get("event") != "task_finished":
            if document.get("event") != "task_continued":
                continue
            try:
                chunk = self._chunk(document)
            except (ValueError, TypeError, KeyError, AttributeError):
                raise self._task.malformed("audio of another shape") from None
            yield chunk
        if self._odd:
            raise self._task.malformed("it ends within a sample")
        yield SpeechChunk(pcm=b"", text_end=self._text_length)

    def _chunk(self, document: Mapping[str, Any]) -> SpeechChunk:
        data = document.get("data") or {}
        pcm = self._odd + bytes.fromhex(data.get("audio") or "")
        whole = len(pcm) - len(pcm) % 2
        self._odd = pcm[whole:]
        self._pcm_bytes += whole
        words = self._words(data)
        text_end = None
        if document.get("is_final") and self._ends:
            text_end = self._ends.popleft()
            self._text_start_s = self._now_s
        return SpeechChunk(pcm=pcm[:whole], words=words, text_end=text_end)

    def _words(self, data: Mapping[str, Any]) -> tuple[WordTime, ...]:
        subtitle = data.get("subtitle") or {}
        words = [
            TimedText(
                text=str(word["word"]),
                start_s=float(word["time_begin"]) / 1000,
                end_s=float(word["time_end"]) / 1000,
            )
            for word in subtitle.get("timestamped_words") or ()
        ]
        return placed(words, TimeSpan(start_s=self._text_start_s, end_s=self._now_s), self._cursor)

    @property
    def _now_s(self) -> float:
        """How much audio came."""
        return duration_s(self._pcm_bytes, SAMPLE_RATE_HERTZ)


VENDOR = SynthesizerVendor(settings=MiniMaxSpeechSettings, open=MiniMaxSynthesizer.open)
