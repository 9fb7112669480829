"""An utterance is heard while it is spoken, as the recogniser can."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.speech.listening.hearing import LiveHearing, RepeatedHearing
from services.speech.ports.errors import ProviderError
from services.speech.ports.recognition import RecognitionRequest, Transcript, TurnEnd
from services.speech.ports.stages import Stage
from tests.support.virtual_time import in_virtual_time

REQUEST = RecognitionRequest(language_codes=("en",))
PIECE = b"\1\0" * 1600


@dataclass(slots=True)
class WordPerPiece:
    """Hears a word in each piece, and may fail after some."""

    name: str = "words"
    is_streaming: bool = True
    detects_turn_ends: bool = False
    fails_after: int | None = None
    ends_after: int | None = None
    calls: int = 0
    closed: int = 0
    heard: list[bytes] = field(default_factory=list)

    async def transcribe(
        self, audio: AsyncIterator[bytes], request: RecognitionRequest
    ) -> AsyncIterator[Transcript]:
        self.calls += 1
        count = 0
        try:
            async for piece in audio:
                self.heard.append(piece)
                count += len(piece) // len(PIECE)
                if self.calls == 1 and count == self.fails_after:
                    raise ProviderError(Stage.RECOGNITION, self.name, "gone", transient=True)
                if count == self.ends_after:
                    text = " ".join(["word"] * count)
                    yield Transcript(text=text, is_final=True, turn_end=TurnEnd.CERTAIN)
                    return
                yield Transcript(text=" ".join(["word"] * count), is_final=False)
            yield Transcript(text=" ".join(["word"] * count) + ".", is_final=True)
        finally:
            self.closed += 1


def live(recognizer: WordPerPiece) -> tuple[LiveHearing, list[Transcript]]:
    hypotheses: list[Transcript] = []
    return LiveHearing(recognizer, REQUEST, hypotheses.append), hypotheses


async def speak(hearing: LiveHearing, pieces: int) -> None:
    for _ in range(pieces):
        hearing.push(PIECE, voiced_s=0.1)
        await asyncio.sleep(0.1)


@in_virtual_time
async def test_words_come_while_they_are_spoken_and_the_final_ones_at_the_end() -> None:
    hearing, hypotheses = live(WordPerPiece())
    await speak(hearing, 3)
    assert [each.text for each in hypotheses] == ["word", "word word", "word word word"]
    assert (await hearing.end(b"")).text == "word word word."
    assert len(hypotheses) == 3


@in_virtual_time
async def test_at_a_pause_what_was_said_is_known_without_an_end() -> None:
    recognizer = WordPerPiece()
    hearing, _ = live(recognizer)
    await speak(hearing, 2)
    assert (await hearing.pause()).text == "word word"
    hearing.resume()
    await speak(hearing, 1)
    assert (await hearing.pause()).text == "word word word"
    assert recognizer.calls == 1
    hearing.drop()
    await asyncio.sleep(0)
    assert recognizer.closed == 1


@in_virtual_time
async def test_a_stream_that_broke_is_replaced_by_the_whole_recording() -> None:
    recognizer = WordPerPiece(fails_after=2)
    hearing, hypotheses = live(recognizer)
    await speak(hearing, 3)
    assert [each.text for each in hypotheses] == ["word"]
    assert (await hearing.end(PIECE * 3)).text == "word word word."
    assert recognizer.calls == 2
    assert recognizer.heard[-1] == PIECE * 3


@in_virtual_time
async def test_a_recogniser_that_knows_the_end_says_so_before_the_audio_ends() -> None:
    hearing, hypotheses = live(WordPerPiece(ends_after=2))
    await speak(hearing, 3)
    assert hypotheses[-1].turn_end is TurnEnd.CERTAIN
    assert (await hearing.end(b"")).text == "word word"


@in_virtual_time
async def test_a_recogniser_of_recordings_hears_again_at_a_bounded_cost() -> None:
    heard_s: list[float] = []

    async def recognise(pcm: bytes) -> Transcript:
        heard_s.append(len(pcm) / 32_000)
        await asyncio.sleep(0.5)
        return Transcript(text=f"{len(heard_s)}", is_final=True)

    hypotheses: list[Transcript] = []
    hearing = RepeatedHearing(recognise, hypotheses.append, first_s=0.5)
    for step in range(1, 101):
        await asyncio.sleep(0.1)
        hearing.push(PIECE, voiced_s=step / 10)
    # In 10 s no more than a third of the time is spent on partial words.
    assert 4 <= len(heard_s) <= 7
    assert heard_s[0] == pytest.approx(0.5)
    assert [each.text for each in hypotheses] == [str(n) for n in range(1, len(hypotheses) + 1)]
    assert (await hearing.end(PIECE)).text == str(len(heard_s))
    assert heard_s[-1] == pytest.approx(0.1)


@in_virtual_time
async def test_a_recording_that_comes_at_once_is_heard_once() -> None:
    calls = 0

    async def recognise(pcm: bytes) -> Transcript:
        nonlocal calls
        calls += 1
        raise ServiceError(Reason.RECOGNITION_UNAVAILABLE, "gone")

    hearing = RepeatedHearing(recognise, lambda _: None, first_s=0.5)
    for step in range(1, 101):
        hearing.push(PIECE, voiced_s=step / 10)
    with pytest.raises(ServiceError):
        await hearing.end(PIECE * 100)
    assert calls == 1


class SlowlyReleased(WordPerPiece):
    """Takes long to be released after its final transcript."""

    async def transcribe(
        self, audio: AsyncIterator[bytes], request: RecognitionRequest
    ) -> AsyncIterator[Transcript]:
        async for transcript in super().transcribe(audio, request):
            yield transcript
        await asyncio.sleep(60)
        self.closed += 1


@in_virtual_time
async def test_the_final_words_do_not_wait_for_the_release_of_the_recogniser() -> None:
    recognizer = SlowlyReleased()
    hearing, _ = live(recognizer)
    await speak(hearing, 2)
    assert (await hearing.end(b"")).text == "word word."
    assert recognizer.closed == 0
    await asyncio.sleep(61)
    assert recognizer.closed == 2
