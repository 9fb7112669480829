"""DashScope's voices: CosyVoice, which speaks a reply while it is written."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal

from pydantic import Field

from services.runtime.languages import primary
from services.runtime.pcm import duration_s
from services.runtime.settings.values import Name, Names
from services.speech.ports.stages import Stage
from services.speech.ports.synthesis import SpeechChunk, SpeechRequest, WordTime
from services.speech.provider_settings import SynthesizerVendorSettings
from services.speech.streams import closing
from services.speech.vendors.alignment import TextCursor
from services.speech.vendors.dashscope.settings import DashScopeSettings
from services.speech.vendors.dashscope.tasks import Payload, Task, open_task
from services.speech.vendors.declaration import SynthesizerVendor
from services.speech.vendors.http.client import Endpoint, provider_errors
from services.speech.vendors.pooled_speech import SAMPLE_RATE_HERTZ, PooledSynthesizer
from services.speech.vendors.sound.samples import WholeSamples
from services.speech.vendors.text_runs import TextRuns
from services.speech.vendors.websocket.client import VendorSocket, open_socket

SLOWEST, FASTEST = 0.5, 2.0
_HINTED = frozenset(("zh", "en", "fr", "de", "ja", "ko", "ru", "pt", "th", "id", "vi"))


class DashScopeSpeechSettings(DashScopeSettings, SynthesizerVendorSettings):
    """CosyVoice."""

    model: Name = Field("cosyvoice-v3-flash", description="model of the synthesizer")
    voices: Names = Field(
        "longanyang,longanhuan",
        description="voices of the model, separated by commas, the default first; each belongs to"
        " one version of the model",
    )
    word_times: bool = Field(True, description="whether to ask for the times of words")
    word_times_from: Literal["sentence", "reply"] = Field(
        "sentence",
        description="from where those times count: the beginning of each, or of the whole reply",
    )
    text_pause_s: float = Field(
        15.0,
        gt=0,
        le=23,
        description="seconds without text after which a task is ended and the next text gets"
        " another one; DashScope itself fails a task after 23",
    )
    volume: int = Field(50, ge=0, le=100, description="loudness")


class DashScopeSynthesizer(PooledSynthesizer[DashScopeSpeechSettings]):
    """Speaks each reply in one task, or one after each long pause in its text."""

    @classmethod
    def connect(
        cls, settings: DashScopeSpeechSettings, endpoint: Endpoint
    ) -> AbstractAsyncContextManager[VendorSocket]:
        """A connection that takes tasks; raises ProviderError."""
        return open_socket(
            endpoint, Stage.SYNTHESIS, url=settings.base_url, headers=settings.headers
        )

    async def speak(
        self, texts: AsyncIterator[str], request: SpeechRequest
    ) -> AsyncIterator[SpeechChunk]:
        """Yield the audio as it arrives, in whole samples; raises ProviderError."""
        run = self._run(request)
        characters, pcm_bytes = 0, 0
        with provider_errors(Stage.SYNTHESIS, self.name):
            async with TextRuns.open(texts, pause_s=self._settings.text_pause_s) as runs:
                while True:
                    offset_s = duration_s(pcm_bytes, SAMPLE_RATE_HERTZ)
                    async with (
                        closing(runs.run()) as part,
                        open_task(self._pool, self._endpoint, Stage.SYNTHESIS, run) as task,
                    ):
                        speech = _Speech(
                            task,
                            is_timed_from_start=self._settings.word_times_from == "reply",
                        )
                        async with closing(self._spoken(part, speech)) as chunks:
                            async for chunk in chunks:
                                pcm_bytes += len(chunk.pcm)
                                yield chunk.moved(characters, offset_s)
                    characters += speech.characters
                    if not await runs.has_more():
                        return

    def _run(self, request: SpeechRequest) -> Payload:
        parameters: dict[str, Any] = {
            "text_type": "PlainText",
            "voice": request.voice_id,
            "format": "pcm",
            "sample_rate": SAMPLE_RATE_HERTZ,
            "volume": self._settings.volume,
            "rate": min(max(request.speed, SLOWEST), FASTEST),
        }
        if self._settings.word_times:
            parameters["word_timestamp_enabled"] = True
        if (language := primary(request.language_code)) in _HINTED:
            parameters["language_hints"] = [language]
        if instruction := _instruction(request):
            parameters["instruction"] = instruction
        return {
            "task_group": "audio",
            "task": "tts",
            "function": "SpeechSynthesizer",
            "parameters": parameters,
            "input": {},
        }


def _instruction(request: SpeechRequest) -> str:
    """Return the style, which is an instruction in itself, or the one for an emotion."""
    if request.style or not request.emotion:
        return request.style
    return f"你说话的情感是{request.emotion}。"


class _Speech:
    """The audio of one task, and where in it and in its text the sentences and words are."""

    def __init__(self, task: Task, *, is_timed_from_start: bool) -> None:
        self._task = task
        self._is_timed_from_start = is_timed_from_start
        self._text = ""
        self._cursor = TextCursor()
        self._pcm_bytes = 0
        self._sentence: tuple[int, int] | None = None
        self._sentence_start_s = 0.0

    @property
    def characters(self) -> int:
        """The length of the text so far."""
        return len(self._text)

    async def send(self, text: str) -> None:
        """Add text."""
        self._text += text
        self._cursor.add(text)
        await self._task.send_text(text)

    async def finish(self) -> None:
        """End the texts."""
        await self._task.finish()

    async def chunks(self) -> AsyncIterator[SpeechChunk]:
        """Yield the audio in whole samples, with the words of each sentence at its end."""
        samples = WholeSamples()
        async with closing(self._task.results()) as results:
            async for result in results:
                if isinstance(result, bytes):
                    pcm = samples.add(result)
                    self._pcm_bytes += len(pcm)
                    yield SpeechChunk(pcm=pcm)
                elif result.get("type") == "sentence-begin":
                    self._begin(result)
                elif result.get("type") == "sentence-end" and self._sentence is not None:
                    try:
                        chunk = self._end(result, self._sentence)
                    except (TypeError, KeyError, AttributeError, ValueError):
                        raise self._task.malformed("a sentence of another shape") from None
                    yield chunk
        if samples.is_incomplete:
            raise self._task.malformed("it ends within a sample")

    def _begin(self, result: Payload) -> None:
        self._sentence = self._cursor.find(str(result.get("original_text", "")))
        self._sentence_start_s = duration_s(self._pcm_bytes, SAMPLE_RATE_HERTZ)

    def _end(self, result: Payload, sentence: tuple[int, int]) -> SpeechChunk:
        start, end = sentence
        cursor = TextCursor(self._text[start:end])
        offset_s = 0.0 if self._is_timed_from_start else self._sentence_start_s
        words = tuple(
            WordTime(
                start=start + place[0],
                end=start + place[1],
                start_s=offset_s + float(word["begin_time"]) / 1000,
                end_s=offset_s + float(word["end_time"]) / 1000,
            )
            for word in result["sentence"].get("words") or ()
            if (place := cursor.find(str(word["text"]))) is not None
        )
        return SpeechChunk(pcm=b"", words=words, text_end=end)


VENDOR = SynthesizerVendor(settings=DashScopeSpeechSettings, open=DashScopeSynthesizer.open)
