"""How sound reaches a recognizer, and how its sentences become an utterance."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.speech.ports.errors import ProviderError
from services.speech.ports.recognition import TimedWord, Transcript
from services.speech.ports.stages import Stage
from services.speech.streams import Deadlines
from services.speech.vendors.hearing import Sentences, on_stream, packets

DEADLINES = Deadlines(first_s=20, next_s=20, total_s=60)


async def chunks_of(*sizes: int) -> AsyncIterator[bytes]:
    """Yield sound in chunks of these sizes."""
    for size in sizes:
        yield bytes(size)


def sentence(text: str, start_s: float = 0.0, language: str = "") -> Transcript:
    """A sentence of one word."""
    word = TimedWord(text=text, start_s=start_s, end_s=start_s + 1)
    return Transcript(text=text, is_final=False, words=(word,), language_code=language)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [((3, 3, 3), [4, 4, 1]), ((9,), [4, 4, 1]), ((), []), ((4, 4), [4, 4]), ((1,), [1])],
)
async def test_cuts_sound_into_packets(sizes: tuple[int, ...], expected: list[int]) -> None:
    assert [len(packet) async for packet in packets(chunks_of(*sizes), 4, 4)] == expected


@pytest.mark.parametrize(
    ("sizes", "expected"), [((3, 3, 1), [6, 1]), ((9, 4), [9, 4]), ((22, 3), [10, 10, 5])]
)
async def test_sends_sound_that_comes_together_in_one_packet(
    sizes: tuple[int, ...], expected: list[int]
) -> None:
    assert [len(packet) async for packet in packets(chunks_of(*sizes), 4, 10)] == expected


def test_joins_sentences_as_their_scripts_do() -> None:
    sentences = Sentences()
    assert sentences.with_partial(sentence("Good")).text == "Good"
    assert sentences.add(sentence("Good day.")).text == "Good day."
    assert sentences.with_partial(sentence("How")).text == "Good day. How"
    assert sentences.add(sentence("你好。", 2.0, "zh-CN")).text == "Good day.你好。"
    final = sentences.final()
    assert (final.text, final.is_final, final.language_code) == ("Good day.你好。", True, "zh-CN")
    assert [word.start_s for word in final.words] == [0.0, 2.0]


async def test_stops_sending_at_a_final_transcript() -> None:
    sent: list[bytes] = []

    async def endless() -> AsyncIterator[bytes]:
        yield bytes(4)
        await asyncio.Event().wait()

    async def transcripts() -> AsyncIterator[Transcript]:
        yield Transcript(text="", is_final=True)

    async def send(packet: bytes) -> None:
        sent.append(packet)

    async def finish() -> None:
        pytest.fail("the sound has no end")

    stream = on_stream(
        endless(),
        transcripts(),
        send=send,
        finish=finish,
        packet_bytes=4,
        deadlines=DEADLINES,
        provider="test",
    )
    assert [each.is_final async for each in stream] == [True]


async def test_ends_with_the_failure_of_what_sends() -> None:
    failure = ProviderError(Stage.RECOGNITION, "test", "broken", transient=True)

    async def silent() -> AsyncIterator[Transcript]:
        await asyncio.Event().wait()
        yield Transcript(text="", is_final=True)

    async def send(packet: bytes) -> None:
        raise failure

    async def finish() -> None:
        pytest.fail("sending has failed")

    stream = on_stream(
        chunks_of(4),
        silent(),
        send=send,
        finish=finish,
        packet_bytes=4,
        deadlines=DEADLINES,
        provider="test",
    )
    with pytest.raises(ProviderError) as caught:
        await anext(stream)
    assert caught.value is failure
