"""Speech synthesis by Kokoro-82M, in English, Chinese and mixtures."""

import contextlib
import itertools
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np

from services.runtime.pcm import duration_s
from services.speech.embedded.inference import RunOptions
from services.speech.embedded.kokoro import (
    MOST_SYMBOLS,
    SAMPLE_RATE_HERTZ,
    KokoroModel,
    TimedAudio,
    load_style,
)
from services.speech.embedded.mel import Floats
from services.speech.embedded.pauses import AUDIBLE, with_pauses
from services.speech.embedded.pronunciation import Pronouncer, Sound, speakable
from services.speech.embedded.voices import VOICES
from services.speech.embedded.worker import Worker, open_worker, provider_errors
from services.speech.ports.errors import ProviderError
from services.speech.ports.stages import Stage
from services.speech.ports.synthesis import SpeechChunk, SpeechRequest, Voice, WordTime
from services.speech.streams import once
from services.speech.vendors.feeding import clause_by_clause

_PROVIDER = "kokoro"

_HEAD_S = 0.03
_TAIL_S = {".": 0.2, "!": 0.2, "?": 0.2, "…": 0.2, ",": 0.1, ";": 0.1, ":": 0.1, "—": 0.1}
_SHORTEST_TAIL_S = 0.04
"""The model adds up to a second of silence; this keeps a breath's length between clauses."""

_DIGITS = frozenset("零幺一二三四五六七八九")

_CACHE_BYTES = 16 << 20
"""About six minutes of speech."""


class KokoroSynthesizer:
    """Speaks one clause or sentence at a time; recent phrases come from a cache."""

    def __init__(
        self,
        model: KokoroModel,
        *,
        pronouncer: Pronouncer,
        styles: Mapping[str, Floats],
        worker: Worker,
    ) -> None:
        self._model = model
        self._pronouncer = pronouncer
        self._styles = styles
        self._worker = worker
        self._phrases = _PhraseCache(_CACHE_BYTES)

    @classmethod
    @contextlib.asynccontextmanager
    async def load(cls, path: Path, *, voices: Path, threads: int) -> AsyncIterator[Self]:
        """Load the ONNX file and the folder of voices, and warm up both languages."""
        async with open_worker(_PROVIDER) as worker:
            model = await worker.load(
                KokoroModel, path, vocabulary=voices / "vocabulary.json", threads=threads
            )
            pronouncer = await worker.load(Pronouncer)
            styles = {
                voice.voice_id: load_style(voices / f"{voice.voice_id}.bin") for voice in VOICES
            }
            synthesizer = cls(model, pronouncer=pronouncer, styles=styles, worker=worker)
            warm_up = SpeechRequest(voice_id=VOICES[0].voice_id, language_code="en-US")
            async for _ in synthesizer.speak(once("Hello, 你好。"), warm_up):
                pass
            yield synthesizer

    @property
    def name(self) -> str:
        return _PROVIDER

    @property
    def sample_rate_hertz(self) -> int:
        return SAMPLE_RATE_HERTZ

    @property
    def voices(self) -> Sequence[Voice]:
        return VOICES

    def speak(
        self, texts: AsyncIterator[str], request: SpeechRequest
    ) -> AsyncIterator[SpeechChunk]:
        """Yield the audio, text by text; closing the iterator stops the model at once."""
        return clause_by_clause(
            texts,
            lambda text: self._speak_text(text, request),
            provider=_PROVIDER,
            sample_rate_hertz=SAMPLE_RATE_HERTZ,
        )

    async def _speak_text(
        self, text: str, request: SpeechRequest
    ) -> AsyncGenerator[SpeechChunk, None]:
        """Yield a text's audio: in several chunks if it is long, or has a number in groups."""
        style = self._styles.get(request.voice_id)
        if style is None:
            message = f"there is no voice {request.voice_id!r}"
            raise ProviderError(Stage.SYNTHESIS, _PROVIDER, message, transient=False)
        phrase = (text, request.voice_id, request.language_code)
        if (known := self._phrases.get(phrase)) is not None:
            for chunk in known:
                yield chunk
            return
        chunks: list[SpeechChunk] = []
        offset_s = 0.0
        with provider_errors(Stage.SYNTHESIS, _PROVIDER):
            pieces = await self._worker.run(self._prepare, text, request.language_code)
        for sounds in pieces:
            options = RunOptions()
            try:
                with provider_errors(Stage.SYNTHESIS, _PROVIDER):
                    spoken = await self._worker.run(self._utter, sounds, style, options)
            finally:
                options.terminate = True
            if not spoken.pcm:  # the model produced nothing audible
                continue
            chunks.append(spoken.moved(0, offset_s))
            offset_s += duration_s(len(spoken.pcm), SAMPLE_RATE_HERTZ)
            yield chunks[-1]
        self._phrases.put(phrase, tuple(chunks))

    def _prepare(self, text: str, language_code: str) -> list[Sequence[Sound]]:
        sounds = [
            replace(sound, phonemes=known)
            for sound in self._pronouncer.pronounce(text, language_code)
            if (known := self._model.keep_known(sound.phonemes))
        ]
        return [
            group
            for piece in split_sounds(sounds, MOST_SYMBOLS)
            for group in split_numbers(text, piece)
            if speakable(group)
        ]

    def _utter(self, sounds: Sequence[Sound], style: Floats, options: RunOptions) -> SpeechChunk:
        phonemes = "".join(sound.phonemes for sound in sounds)
        utterance = with_pauses(sounds, self._model.speak(phonemes, style, options))
        tail_s = max(_tail_s(phonemes), sounds[-1].pause_s)
        audible = _audible_span(utterance.samples, tail_s=tail_s)
        samples = utterance.samples[audible]
        return SpeechChunk(
            pcm=(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes(),
            words=tuple(_word_times(sounds, utterance, audible)),
        )


def split_sounds(sounds: Sequence[Sound], limit: int) -> Iterator[list[Sound]]:
    """Split into pieces of at most `limit` phonemes: after a mark, else after a space or word."""
    piece: list[Sound] = []
    for sound in _short_sounds(sounds, limit):
        while sum(len(said.phonemes) for said in piece) + len(sound.phonemes) > limit:
            cut = _best_cut(piece)
            yield piece[:cut]
            piece = piece[cut:]
        piece.append(sound)
    if piece:
        yield piece


def split_numbers(text: str, piece: Sequence[Sound]) -> Iterator[Sequence[Sound]]:
    """Cut between the groups of a number that is called out in Chinese.

    Said in one breath, their short syllables run into each other: a pause alone does not help.
    """
    start = 0
    for index, (before, mark, after) in enumerate(zip(piece, piece[1:], piece[2:], strict=False)):
        stands_between = text[before.start : before.end] + text[after.start : after.end]
        if mark.pause_s and set(stands_between) <= _DIGITS:
            yield piece[start : index + 2]
            start = index + 2
    yield piece[start:]


def _short_sounds(sounds: Sequence[Sound], limit: int) -> Iterator[Sound]:
    for sound in sounds:
        for start in range(0, len(sound.phonemes), limit):
            yield replace(sound, phonemes=sound.phonemes[start : start + limit])


def _best_cut(piece: Sequence[Sound]) -> int:
    """Return where to cut: after the last mark in the second half, else after the last space."""
    pauses = [index for index, sound in enumerate(piece, start=1) if not sound.is_word]
    marks = [index for index in pauses if piece[index - 1].phonemes.strip()]
    late_marks = [index for index in marks if index > len(piece) // 2]
    return (late_marks or pauses or [len(piece)])[-1]


def _audible_span(samples: Floats, *, tail_s: float) -> slice:
    audible = np.flatnonzero(np.abs(samples) > AUDIBLE)
    if not len(audible):
        return slice(0, 0)
    head = max(0, int(audible[0]) - round(_HEAD_S * SAMPLE_RATE_HERTZ))
    return slice(head, min(len(samples), int(audible[-1]) + round(tail_s * SAMPLE_RATE_HERTZ)))


def _tail_s(phonemes: str) -> float:
    ending = phonemes.rstrip(' "”)')
    return _TAIL_S.get(ending[-1:], _SHORTEST_TAIL_S)


def _word_times(
    sounds: Sequence[Sound], utterance: TimedAudio, audible: slice
) -> Iterator[WordTime]:
    """Yield times within the audible part; sounds of one written word count as one."""
    head_s = audible.start / SAMPLE_RATE_HERTZ
    length_s = (audible.stop - audible.start) / SAMPLE_RATE_HERTZ
    ends = list(itertools.accumulate(len(sound.phonemes) for sound in sounds))
    timed = [
        (sound, end - len(sound.phonemes), end)
        for sound, end in zip(sounds, ends, strict=True)
        if sound.is_word
    ]
    for (start, end), group in itertools.groupby(timed, key=lambda t: (t[0].start, t[0].end)):
        parts = list(group)
        edges = utterance.edges_s[[parts[0][1], parts[-1][2]]] - head_s
        start_s, end_s = np.clip(edges, 0.0, length_s)
        yield WordTime(start=start, end=end, start_s=float(start_s), end_s=float(end_s))


class _PhraseCache:
    """The most recent phrases, up to a number of bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._phrases: OrderedDict[tuple[str, str, str], tuple[SpeechChunk, ...]] = OrderedDict()

    def get(self, phrase: tuple[str, str, str]) -> tuple[SpeechChunk, ...] | None:
        chunks = self._phrases.get(phrase)
        if chunks is not None:
            self._phrases.move_to_end(phrase)
        return chunks

    def put(self, phrase: tuple[str, str, str], chunks: tuple[SpeechChunk, ...]) -> None:
        self._size += _cost(chunks) - _cost(self._phrases.pop(phrase, ()))
        self._phrases[phrase] = chunks
        while self._size > self._limit:
            _, oldest = self._phrases.popitem(last=False)
            self._size -= _cost(oldest)


_PHRASE_OVERHEAD = 1024
"""For keys and word times; it also bounds the number of silent phrases."""


def _cost(chunks: tuple[SpeechChunk, ...]) -> int:
    return _PHRASE_OVERHEAD + sum(len(chunk.pcm) for chunk in chunks)
