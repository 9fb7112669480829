"""Speech recognition by Whisper base on CTranslate2."""

import contextlib
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any, Self

import ctranslate2
import numpy as np
from misaki.zh_normalization.char_convert import tranditional_to_simplified
from tokenizers import Tokenizer

from services.speech.embedded.mel import HOP, Floats, log_mel
from services.speech.embedded.windows import speech_windows, voiced_span
from services.speech.embedded.worker import Worker, open_worker, provider_errors
from services.speech.ports import LISTENING_RATE_HERTZ, ProviderError, Stage, Transcript

_PROVIDER = "whisper"
_FRAMES_PER_SECOND = LISTENING_RATE_HERTZ // HOP

# The encoder hears only as much context as the speech needs: a third of the cost of 30 s. Less
# than 10 s, or than 4 s after the speech, makes the model repeat itself.
_SHORTEST_CONTEXT_S = 10
_CONTEXT_AFTER_SPEECH_S = 4
_LONGEST_CONTEXT_S = 30

_TOKENS_PER_SECOND = 12
"""More than anybody says, in any language; a longer text is a repetition loop."""
_LEAST_TOKENS = 24

_NO_SPEECH = 0.6
_UNSURE = -1.0
"""Whisper's own thresholds: no speech, if that is likely and the text is not."""

_LOOPED = 2.4
"""A text that compresses this well repeats itself."""

_TIMESTAMP_S = 0.02
_LEAST_PROGRESS_S = 1.0
"""An earlier time mark is no end of a sentence."""

_SHORTEST_REST_S = 0.6
"""Voice after the last time mark that counts as not heard yet; the marks are rough."""

_PROMPTS = {"zh": "以下是普通话的句子。"}
"""A text in the wanted script makes the model go on in it: simplified, not traditional. Mostly:
what comes out is converted as well."""


class WhisperModel:
    """The model itself; its calls block."""

    def __init__(self, folder: Path, *, threads: int) -> None:
        """Load the model from a folder with CTranslate2's files and tokenizer.json."""
        self._model = ctranslate2.models.Whisper(
            str(folder), device="cpu", compute_type="int8", inter_threads=1, intra_threads=threads
        )
        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._first_special = self._token("<|endoftext|>")
        self._first_mark = self._token("<|notimestamps|>") + 1

    def knows(self, language: str) -> bool:
        """Whether the model was trained on the language."""
        return self._tokenizer.token_to_id(f"<|{language}|>") is not None

    def decode(self, samples: Floats, language: str) -> str:
        """The text of at most 26 s of 16 kHz speech, with the leading space of its script."""
        text = ""
        # The model may end after some of several sentences; its time mark says where to go on.
        span: slice | None = slice(None)
        while span is not None:
            samples = samples[span]
            more, heard_s = self._hear(samples, language)
            text += more
            samples = samples[round(heard_s * LISTENING_RATE_HERTZ) :]
            span = voiced_span(samples, least_s=_SHORTEST_REST_S)
        return str(tranditional_to_simplified(text)) if language == "zh" else text

    def _hear(self, samples: Floats, language: str) -> tuple[str, float]:
        """A text, and how many seconds of the speech it covers."""
        seconds = len(samples) / LISTENING_RATE_HERTZ
        context_s = max(_SHORTEST_CONTEXT_S, seconds + _CONTEXT_AFTER_SPEECH_S)
        text, heard_s = self._generate(samples, language, context_s=context_s, repeats=True)
        if _is_looped(text):
            return self._generate(samples, language, context_s=_LONGEST_CONTEXT_S, repeats=False)
        return text, heard_s

    def _generate(
        self, samples: Floats, language: str, *, context_s: float, repeats: bool
    ) -> tuple[str, float]:
        seconds = len(samples) / LISTENING_RATE_HERTZ
        # The encoder's convolution halves the frames: whole half-seconds keep it even.
        frames = int(min(_LONGEST_CONTEXT_S, context_s) * 2) * _FRAMES_PER_SECOND // 2
        silence = max(0, frames * HOP - len(samples))
        features = log_mel(np.pad(samples[: frames * HOP], (0, silence)))
        prompt = self._prompt(language)
        [result] = self._model.generate(
            ctranslate2.StorageView.from_array(features[None]),
            [prompt],
            beam_size=1,
            max_length=len(prompt) + _LEAST_TOKENS + int(seconds * _TOKENS_PER_SECOND),
            no_repeat_ngram_size=0 if repeats else 3,
            return_scores=True,
            return_no_speech_prob=True,
        )
        if result.no_speech_prob > _NO_SPEECH and result.scores[0] < _UNSURE:
            return "", seconds
        tokens = result.sequences_ids[0]
        text = self._tokenizer.decode([token for token in tokens if token < self._first_special])
        heard_s = (max(tokens, default=0) - self._first_mark) * _TIMESTAMP_S
        return str(text), heard_s if heard_s >= _LEAST_PROGRESS_S else seconds

    def _prompt(self, language: str) -> list[int]:
        prompt = [
            self._token(token)
            for token in ("<|startoftranscript|>", f"<|{language}|>", "<|transcribe|>")
        ]
        if language in _PROMPTS:
            lead = self._tokenizer.encode(_PROMPTS[language], add_special_tokens=False).ids
            prompt = [self._token("<|startofprev|>"), *lead, *prompt]
        return prompt

    def _token(self, text: str) -> int:
        return int(self._tokenizer.token_to_id(text))


class WhisperRecognizer:
    """Recognizes an utterance when it has ended, in any language that Whisper knows."""

    def __init__(self, model: WhisperModel, *, worker: Worker) -> None:
        self._model = model
        self._worker = worker

    @classmethod
    @contextlib.asynccontextmanager
    async def load(cls, folder: Path, *, threads: int) -> AsyncIterator[Self]:
        """Load and warm up the model."""
        async with open_worker(_PROVIDER) as worker:
            model = await worker.load(WhisperModel, folder, threads=threads)
            await worker.run(model.decode, np.zeros(LISTENING_RATE_HERTZ, np.float32), "en")
            yield cls(model, worker=worker)

    @property
    def name(self) -> str:
        return _PROVIDER

    async def transcribe(
        self, pcm: AsyncIterator[bytes], *, language_code: str
    ) -> AsyncGenerator[Transcript, None]:
        """Yield one final transcript after the audio has ended; empty if nobody speaks."""
        language = language_code.partition("-")[0].lower()
        if not self._model.knows(language):
            message = f"the language {language_code!r} is not one that Whisper knows"
            raise ProviderError(Stage.RECOGNITION, _PROVIDER, message, transient=False)
        recording = bytearray()
        async for chunk in pcm:
            recording += chunk
        with provider_errors(Stage.RECOGNITION, _PROVIDER):
            windows = await self._worker.run(speech_windows, bytes(recording))
            # One call per window, so that other utterances get their turn between two.
            texts = [await self._worker.run(self._model.decode, w, language) for w in windows]
        yield Transcript(text="".join(texts).strip(), is_final=True)


def _is_looped(text: str) -> bool:
    encoded = text.encode()
    return len(encoded) > _LOOPED * len(zlib.compress(encoded)) if encoded else False
