"""DashScope's recognizers: Fun-ASR and Paraformer, live."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Self

from pydantic import Field

from services.runtime.languages import primary
from services.runtime.pcm import byte_count
from services.runtime.settings.values import Name
from services.speech.ports.recognition import (
    LISTENING_RATE_HERTZ,
    RecognitionRequest,
    TimedWord,
    Transcript,
)
from services.speech.ports.stages import Stage
from services.speech.streams import Deadlines, closing
from services.speech.vendors.dashscope.settings import DashScopeSettings
from services.speech.vendors.dashscope.tasks import Payload, Task, open_task
from services.speech.vendors.declaration import RecognizerVendor
from services.speech.vendors.hearing import Sentences, on_stream
from services.speech.vendors.http.client import Endpoint, provider_errors
from services.speech.vendors.websocket.client import open_socket
from services.speech.vendors.websocket.pool import SocketPool

PACKET_BYTES = byte_count(0.1, LISTENING_RATE_HERTZ)
LONGEST_CONTEXT = 400
"""Characters of context that the models take."""


class DashScopeTranscriptionSettings(DashScopeSettings):
    """Fun-ASR or Paraformer."""

    model: Name = Field(
        "fun-asr-realtime", description="fun-asr-realtime, paraformer-realtime-v2, or newer ones"
    )
    vocabulary_id: str = Field("", description="a list of hot words that is kept at DashScope")
    hot_words_as_context: bool = Field(
        True,
        description="whether the hot words of personas and calls are sent as the model's context;"
        " paraformer has none",
    )
    sentence_silence_ms: int = Field(
        800, ge=200, le=6000, description="silence that ends a sentence, in milliseconds"
    )


def open(
    settings: DashScopeTranscriptionSettings, deadlines: Deadlines
) -> AbstractAsyncContextManager["DashScopeRecognizer"]:
    """The recognizer that the settings describe."""
    return DashScopeRecognizer.open(settings, deadlines)


class DashScopeRecognizer:
    """Recognizes an utterance in one task, sentence by sentence."""

    is_streaming = True
    detects_turn_ends = False

    def __init__(
        self, settings: DashScopeTranscriptionSettings, endpoint: Endpoint, pool: SocketPool
    ) -> None:
        self._settings = settings
        self._endpoint = endpoint
        self._pool = pool

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: DashScopeTranscriptionSettings, deadlines: Deadlines
    ) -> AsyncIterator[Self]:
        """A recognizer with its own connections."""
        endpoint = Endpoint.of(settings, deadlines)

        def connect() -> AbstractAsyncContextManager[Any]:
            return open_socket(
                endpoint, Stage.RECOGNITION, url=settings.base_url, headers=settings.headers
            )

        async with SocketPool.open(connect) as pool:
            yield cls(settings, endpoint, pool)

    @property
    def name(self) -> str:
        """The provider's name in logs and metrics."""
        return self._endpoint.name

    async def transcribe(
        self, audio: AsyncIterator[bytes], request: RecognitionRequest
    ) -> AsyncIterator[Transcript]:
        """Yield hypotheses while audio arrives; raises ProviderError."""
        run = self._run(request)
        with provider_errors(Stage.RECOGNITION, self.name):
            async with (
                closing(audio),
                open_task(self._pool, self._endpoint, Stage.RECOGNITION, run) as task,
            ):
                transcripts = on_stream(
                    audio,
                    _transcripts(task),
                    send=task.send_sound,
                    finish=task.finish,
                    packet_bytes=PACKET_BYTES,
                    deadlines=self._endpoint.deadlines,
                    provider=self.name,
                )
                async with closing(transcripts):
                    async for transcript in transcripts:
                        yield transcript

    def _run(self, request: RecognitionRequest) -> Payload:
        parameters: dict[str, Any] = {
            "format": "pcm",
            "sample_rate": LISTENING_RATE_HERTZ,
            "semantic_punctuation_enabled": False,
            "max_sentence_silence": self._settings.sentence_silence_ms,
        }
        if self._settings.vocabulary_id:
            parameters["vocabulary_id"] = self._settings.vocabulary_id
        languages = list(dict.fromkeys(map(primary, request.language_codes)))
        # The others read only the first hint, and detect the language without any.
        if len(languages) == 1 or self._is_paraformer:
            parameters["language_hints"] = languages
        return {
            "task_group": "audio",
            "task": "asr",
            "function": "recognition",
            "parameters": parameters,
            "input": self._input(request.hot_words),
        }

    def _input(self, hot_words: tuple[str, ...]) -> Payload:
        if self._is_paraformer or not self._settings.hot_words_as_context:
            return {}
        text = ", ".join(hot_words)
        if len(text) > LONGEST_CONTEXT:
            text = text[: LONGEST_CONTEXT + 1].rpartition(", ")[0]
        content = [{"type": "input_text", "text": text}]
        return {"context": [{"role": "user", "content": content}]} if text else {}

    @property
    def _is_paraformer(self) -> bool:
        return self._settings.model.startswith("paraformer")


async def _transcripts(task: Task) -> AsyncIterator[Transcript]:
    sentences = Sentences()
    async with closing(task.results()) as results:
        async for output in results:
            if isinstance(output, bytes) or "sentence" not in output:
                continue
            try:
                sentence = output["sentence"]
                if sentence.get("heartbeat"):
                    continue
                transcript = _sentence(sentence)
                is_complete = sentence.get("sentence_end", sentence.get("end_time") is not None)
            except (TypeError, KeyError, AttributeError, ValueError):
                raise task.malformed("a sentence of another shape") from None
            if is_complete:
                yield sentences.add(transcript)
            else:
                yield sentences.with_partial(transcript)
    yield sentences.final()


def _sentence(sentence: Any) -> Transcript:
    words = [
        TimedWord(
            text=str(word["text"]).strip(),
            start_s=float(word["begin_time"]) / 1000,
            end_s=float(word["end_time"]) / 1000,
        )
        for word in sentence.get("words") or ()
        if word.get("end_time") is not None
    ]
    return Transcript(
        text=str(sentence["text"]),
        is_final=False,
        words=tuple(word for word in words if word.text),
    )


VENDOR = RecognizerVendor(settings=DashScopeTranscriptionSettings, open=open)
