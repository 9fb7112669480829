"""Speech recognition by Whisper base on CTranslate2."""

import contextlib
import re
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import ctranslate2
import numpy as np
from misaki.zh_normalization.char_convert import tranditional_to_simplified
from tokenizers import Tokenizer

from services.runtime.languages import primary
from services.speech.embedded.mel import HOP, Floats, log_mel
from services.speech.embedded.windows import speech_windows, voiced_span
from services.speech.embedded.worker import Worker, open_worker, provider_errors
from services.speech.ports.errors import ProviderError
from services.speech.ports.recognition import LISTENING_RATE_HERTZ, RecognitionRequest, Transcript
from services.speech.ports.stages import Stage

_PROVIDER = "whisper"
_FRAMES_PER_SECOND = LISTENING_RATE_HERTZ // HOP

# The encoder gets only as much context as the speech needs: a third of the cost of 30 s. With less
# than 10 s, or less than 4 s after the speech, the model repeats itself.
_SHORTEST_CONTEXT_S = 10
_CONTEXT_AFTER_SPEECH_S = 4
_LONGEST_CONTEXT_S = 30

_TOKENS_PER_SECOND = 12
"""Faster than anybody speaks, in any language; a longer text is a repetition loop."""
_LEAST_TOKENS = 24

_NO_SPEECH = 0.6
"""From this probability on, nobody spoke, whatever the text."""

_DOUBTFUL = 0.3
_UNSURE = -1.2
"""No speech: with a probability of none above the first, if the text loops or its log-probability
per token is below the second."""

_LOOPED = 2.4
"""A text that compresses this well repeats itself."""

_ALIKE = re.compile(r"(\d)(?:[-.,、 ]?\1){2}")
"""The same digit three times, as in 1.1.1: either spoken so, or the model repeats the last one."""

_CAREFUL_BEAMS = 5

_TIMESTAMP_S = 0.02
_LEAST_PROGRESS_S = 1.0
"""A timestamp before this is not the end of a sentence."""

_SHORTEST_REST_S = 0.6
"""Voice after the last timestamp that counts as not yet decoded; timestamps are imprecise."""

_CLEAR_LANGUAGE = 0.8
_CLEAR_LANGUAGE_S = 2.0
"""Probability and length from which a language is trusted: a short word exists in many."""

_LIKELY_LANGUAGE = 0.6
"""The share of the probability of all languages that may be spoken, from which one other than the
first is believed."""

_PROMPTS = {"zh": "以下是普通话的句子。"}
"""A prompt in simplified script makes the model continue in it, mostly: the output is converted as
well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognition:
    """The model's result for some speech; `language` is empty when it is not clear."""

    text: str
    no_speech_probability: float
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decoded:
    """One run of the decoder; its text covers `covered_s` seconds of the audio."""

    text: str
    covered_s: float
    no_speech_probability: float
    log_probability: float

    @property
    def is_looped(self) -> bool:
        encoded = self.text.encode()
        return len(encoded) > _LOOPED * len(zlib.compress(encoded)) if encoded else False

    @property
    def may_be_miscounted(self) -> bool:
        """Whether a digit may be written more or fewer times than it was spoken."""
        return _ALIKE.search(self.text) is not None

    @property
    def is_speech(self) -> bool:
        """Whether somebody spoke, in the model's own judgement."""
        if self.no_speech_probability > _DOUBTFUL and self.log_probability < _UNSURE:
            return False
        return self.no_speech_probability <= _NO_SPEECH


class WhisperModel:
    """The model itself, with blocking calls."""

    def __init__(self, folder: Path, *, threads: int) -> None:
        """Load the model from a folder with CTranslate2's files and tokenizer.json."""
        self._model = ctranslate2.models.Whisper(
            str(folder), device="cpu", compute_type="int8", inter_threads=1, intra_threads=threads
        )
        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._first_special = self._token("<|endoftext|>")
        self._first_timestamp = self._token("<|notimestamps|>") + 1

    def knows(self, language: str) -> bool:
        """Whether the model was trained on the language."""
        return self._tokenizer.token_to_id(f"<|{language}|>") is not None

    def decode(self, samples: Floats, languages: Sequence[str]) -> Recognition:
        """Decode at most 26 s of 16 kHz speech; the text has the leading space of its script.

        Of several languages, the likeliest is heard.
        """
        recognitions = []
        # The model may stop before the last sentence; its timestamp says where to continue.
        span: slice | None = slice(None)
        while span is not None:
            samples = samples[span]
            recognition, covered_s = self._decode(samples, languages)
            recognitions.append(recognition)
            samples = samples[round(covered_s * LISTENING_RATE_HERTZ) :]
            span = voiced_span(samples, least_s=_SHORTEST_REST_S)
        return _joined(recognitions)

    def _decode(self, samples: Floats, languages: Sequence[str]) -> tuple[Recognition, float]:
        """Return what was said, and how many seconds of the speech that covers."""
        seconds = len(samples) / LISTENING_RATE_HERTZ
        context_s = max(_SHORTEST_CONTEXT_S, seconds + _CONTEXT_AFTER_SPEECH_S)
        encoded = self._encode(samples, context_s)
        if len(languages) > 1:
            spoken = self._likeliest(encoded, languages)
        else:
            spoken = self._clear_language(encoded) if seconds >= _CLEAR_LANGUAGE_S else ""
        # Speech that is clearly in another language would make nonsense in this one.
        language = spoken or languages[0]
        decoded = self._generate(encoded, seconds, language, repeats=True)
        if decoded.is_speech and decoded.may_be_miscounted:
            # With its whole context the model counts better, at three times the cost.
            encoded = self._encode(samples, _LONGEST_CONTEXT_S)
            decoded = self._generate(encoded, seconds, language, repeats=True, beams=_CAREFUL_BEAMS)
        is_speech = decoded.is_speech
        if is_speech and decoded.is_looped:
            is_speech = decoded.no_speech_probability <= _DOUBTFUL
            if is_speech:
                encoded = self._encode(samples, _LONGEST_CONTEXT_S)
                decoded = self._generate(encoded, seconds, language, repeats=False)
                is_speech = decoded.is_speech and not decoded.is_looped
        recognition = Recognition(
            text=_in_script(decoded.text, language) if is_speech else "",
            no_speech_probability=decoded.no_speech_probability,
            language=spoken,
        )
        return recognition, decoded.covered_s if is_speech else seconds

    def _encode(self, samples: Floats, context_s: float) -> ctranslate2.StorageView:
        # The encoder's convolution halves the frames: half-seconds keep their number even.
        frames = int(min(_LONGEST_CONTEXT_S, context_s) * 2) * _FRAMES_PER_SECOND // 2
        silence = max(0, frames * HOP - len(samples))
        features = log_mel(np.pad(samples[: frames * HOP], (0, silence)))
        return self._model.encode(ctranslate2.StorageView.from_array(features[None]))

    def _generate(
        self,
        encoded: ctranslate2.StorageView,
        seconds: float,
        language: str,
        *,
        repeats: bool,
        beams: int = 1,
    ) -> _Decoded:
        prompt = self._prompt(language)
        [result] = self._model.generate(
            encoded,
            [prompt],
            beam_size=beams,
            max_length=len(prompt) + _LEAST_TOKENS + int(seconds * _TOKENS_PER_SECOND),
            no_repeat_ngram_size=0 if repeats else 3,
            return_scores=True,
            return_no_speech_prob=True,
        )
        tokens = result.sequences_ids[0]
        text = self._tokenizer.decode([token for token in tokens if token < self._first_special])
        covered_s = (max(tokens, default=0) - self._first_timestamp) * _TIMESTAMP_S
        return _Decoded(
            text=str(text),
            covered_s=covered_s if covered_s >= _LEAST_PROGRESS_S else seconds,
            no_speech_probability=result.no_speech_prob,
            log_probability=result.scores[0],
        )

    def _likeliest(self, encoded: ctranslate2.StorageView, languages: Sequence[str]) -> str:
        [ranking] = self._model.detect_language(encoded)
        found = {token.strip("<|>"): float(probability) for token, probability in ranking}
        likeliest = max(languages, key=lambda each: found.get(each, 0.0))
        share = found[likeliest] / sum(found.get(each, 0.0) for each in languages)
        return likeliest if share >= _LIKELY_LANGUAGE else languages[0]

    def _clear_language(self, encoded: ctranslate2.StorageView) -> str:
        [ranking] = self._model.detect_language(encoded)
        token, probability = ranking[0]
        return token.strip("<|>") if probability >= _CLEAR_LANGUAGE else ""

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
    """Recognizes an utterance once it has ended, in any language that Whisper knows."""

    def __init__(self, model: WhisperModel, *, worker: Worker) -> None:
        self._model = model
        self._worker = worker

    @classmethod
    @contextlib.asynccontextmanager
    async def load(cls, folder: Path, *, threads: int) -> AsyncIterator[Self]:
        """Load and warm up the model."""
        async with open_worker(_PROVIDER) as worker:
            model = await worker.load(WhisperModel, folder, threads=threads)
            await worker.run(model.decode, np.zeros(LISTENING_RATE_HERTZ, np.float32), ["en"])
            yield cls(model, worker=worker)

    @property
    def name(self) -> str:
        return _PROVIDER

    @property
    def is_streaming(self) -> bool:
        return False

    @property
    def detects_turn_ends(self) -> bool:
        return False

    async def transcribe(
        self, audio: AsyncIterator[bytes], request: RecognitionRequest
    ) -> AsyncGenerator[Transcript, None]:
        """Yield one final transcript after the audio has ended; empty if nobody speaks.

        Speech that is clearly in another language is transcribed in that language.
        """
        languages = [
            language
            for code in request.language_codes
            if self._model.knows(language := primary(code))
        ]
        if not languages:
            message = f"the language {request.language_code!r} is not one that Whisper knows"
            raise ProviderError(Stage.RECOGNITION, _PROVIDER, message, transient=False)
        recording = bytearray()
        async for chunk in audio:
            recording += chunk
        with provider_errors(Stage.RECOGNITION, _PROVIDER):
            windows = await self._worker.run(speech_windows, bytes(recording))
            # One call per window, so that other utterances get a turn in between.
            recognitions = [
                await self._worker.run(self._model.decode, w, languages) for w in windows
            ]
        heard = _joined(recognitions)
        yield Transcript(
            text=heard.text.strip(),
            is_final=True,
            no_speech_probability=heard.no_speech_probability,
            language_code=heard.language,
        )


def _joined(recognitions: Sequence[Recognition]) -> Recognition:
    """Join the results of consecutive stretches; with two languages, neither is clear."""
    spoken = [each for each in recognitions if each.text]
    languages = {each.language for each in spoken}
    return Recognition(
        text="".join(each.text for each in spoken),
        no_speech_probability=min((each.no_speech_probability for each in spoken), default=1.0),
        language=languages.pop() if len(languages) == 1 else "",
    )


def _in_script(text: str, language: str) -> str:
    return str(tranditional_to_simplified(text)) if language == "zh" else text
