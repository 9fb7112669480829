"""The embedded voices, heard by the embedded recognizer."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
import pytest

from services.speech.embedded.kokoro import KokoroModel
from services.speech.ports.errors import ProviderError, ProviderMuteError
from services.speech.ports.synthesis import SpeechChunk, SpeechRequest, WordTime
from services.speech.streams import once
from tests.support.embedded import EmbeddedStack
from tests.support.wer import character_error_rate, word_error_rate

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(900)]

Transcribe = Callable[..., Awaitable[str]]

RATE = 24_000
ENGLISH = (
    "The museum opens at half past nine.",
    "Our premium plan costs twenty nine dollars per month.",
    "Please wait a moment while I look that up for you.",
    "No problem, I can help you reset your password.",
)
CHINESE = (
    "今天天气很好，我们去公园散步吧。",
    "您的订单已经发货，请您耐心等待。",
    "这本书很有意思，我推荐你读一读。",
    "我们的营业时间是上午九点到下午六点。",
)
ENGLISH_NUMBERS = "At nine thirty a.m. it is three point five kilograms."
CHINESE_NUMBERS = "二月十四日，这本书二十五点五元。"
IN_GROUPS = "邮编是幺零零，零八零"
"""A number in groups, each of which is spoken alone."""


async def speak(
    stack: EmbeddedStack, text: str, voice_id: str, language_code: str
) -> list[SpeechChunk]:
    return [
        chunk
        async for chunk in stack.synthesizer.speak(
            once(text), SpeechRequest(voice_id=voice_id, language_code=language_code)
        )
    ]


def sound(chunks: Sequence[SpeechChunk]) -> bytes:
    return b"".join(chunk.pcm for chunk in chunks)


def word_times(chunks: Sequence[SpeechChunk]) -> list[WordTime]:
    return [word for chunk in chunks for word in chunk.words]


@pytest.mark.parametrize(
    ("voice_id", "first"), [("af_heart", 0), ("am_michael", 1), ("bf_emma", 3)]
)
async def test_english_is_understood(
    stack: EmbeddedStack, transcribe: Transcribe, voice_id: str, first: int, is_thorough: bool
) -> None:
    """Each voice says one of the sentences, and all of them with --thorough."""
    rates = []
    for text in ENGLISH if is_thorough else ENGLISH[first : first + 1]:
        pcm = sound(await speak(stack, text, voice_id, "en-US"))
        rates.append(word_error_rate(text, await transcribe(pcm, "en-US", rate_hertz=RATE)))
    print(f"word error rate: {np.mean(rates):.3f}")
    assert np.mean(rates) <= 0.1


@pytest.mark.parametrize(("voice_id", "first"), [("zf_xiaoxiao", 1), ("zm_yunxi", 3)])
async def test_chinese_is_understood(
    stack: EmbeddedStack, transcribe: Transcribe, voice_id: str, first: int, is_thorough: bool
) -> None:
    rates = []
    for text in CHINESE if is_thorough else CHINESE[first : first + 1]:
        pcm = sound(await speak(stack, text, voice_id, "zh-CN"))
        rates.append(character_error_rate(text, await transcribe(pcm, "zh-CN", rate_hertz=RATE)))
    print(f"character error rate: {np.mean(rates):.3f}")
    assert np.mean(rates) <= 0.2


async def test_numbers_are_heard_as_meant(stack: EmbeddedStack, transcribe: Transcribe) -> None:
    english = sound(await speak(stack, ENGLISH_NUMBERS, "af_heart", "en-US"))
    heard = await transcribe(english, "en-US", rate_hertz=RATE)
    assert "3.5" in heard
    assert "9" in heard
    chinese = sound(await speak(stack, CHINESE_NUMBERS, "zf_xiaoxiao", "zh-CN"))
    assert "25.5" in await transcribe(chinese, "zh-CN", rate_hertz=RATE)


@pytest.mark.parametrize(
    ("text", "voice_id", "language_code"),
    [
        (ENGLISH_NUMBERS, "af_heart", "en-US"),
        (CHINESE_NUMBERS, "zf_xiaoxiao", "zh-CN"),
        ("请打开WiFi，选择hello模型。", "zm_yunxi", "zh-CN"),
        ("The word 你好 means hello.", "bf_emma", "en-GB"),
    ],
)
async def test_word_times_are_in_order_and_within_the_sound(
    stack: EmbeddedStack, text: str, voice_id: str, language_code: str
) -> None:
    chunks = await speak(stack, text, voice_id, language_code)
    length_s = len(sound(chunks)) / 2 / RATE
    words = word_times(chunks)
    spoken = "".join(text[word.start : word.end] for word in words)
    assert [c for c in spoken if c.isalnum()] == [c for c in text if c.isalnum()]
    edges = [edge for word in words for edge in (word.start_s, word.end_s)]
    assert edges == sorted(edges)
    assert all(word.start_s < word.end_s for word in words)
    assert edges[0] >= 0
    assert edges[-1] <= length_s
    # Nearly all of the sound is words, so the times are not squeezed into a part of it.
    assert edges[-1] - edges[0] >= 0.7 * length_s


async def test_silence_around_the_speech_is_short(stack: EmbeddedStack) -> None:
    samples = np.frombuffer(sound(await speak(stack, "Hello there", "af_heart", "en-US")), "<i2")
    audible = np.flatnonzero(np.abs(samples) > 0.01 * 32767)
    assert audible[0] <= 0.031 * RATE
    assert len(samples) - audible[-1] <= 0.041 * RATE


async def test_a_sentence_ends_with_a_longer_pause_than_a_clause(stack: EmbeddedStack) -> None:
    tails = []
    for text in ("Hello there.", "Hello there,", "Hello there"):
        samples = np.frombuffer(sound(await speak(stack, text, "af_heart", "en-US")), "<i2")
        tails.append(len(samples) - np.flatnonzero(np.abs(samples) > 0.01 * 32767)[-1])
    assert tails == sorted(tails, reverse=True)
    assert len(set(tails)) == 3


@pytest.mark.parametrize("voice_id", ["zf_xiaoxiao", "zm_yunxi"])
async def test_a_chinese_comma_is_heard(stack: EmbeddedStack, voice_id: str) -> None:
    chunks = await speak(stack, IN_GROUPS, voice_id, "zh-CN")
    samples = np.frombuffer(sound(chunks), "<i2")
    audible = np.flatnonzero(np.abs(samples) > 0.01 * 32767) / RATE
    longest = np.argmax(np.diff(audible))
    assert np.diff(audible)[longest] >= 0.24
    after = next(word for word in word_times(chunks) if word.start == IN_GROUPS.index("，") + 1)
    assert after.start_s == pytest.approx(audible[longest + 1], abs=0.1)


async def test_a_text_in_pieces_has_times_that_go_on(
    stack: EmbeddedStack, is_thorough: bool
) -> None:
    """A number in groups comes in pieces, and so does what is too long for the model."""
    spoken = [(IN_GROUPS, "zm_yunxi", "zh-CN")]
    if is_thorough:
        spoken.append((" ".join(ENGLISH * 3), "af_heart", "en-US"))
    for text, voice_id, language_code in spoken:
        *pieces, end = await speak(stack, text, voice_id, language_code)
        assert len(pieces) > 1
        start_s = 0.0
        for piece in pieces:
            end_s = start_s + len(piece.pcm) / 2 / RATE
            assert piece.words
            assert all(start_s <= word.start_s <= word.end_s <= end_s for word in piece.words)
            start_s = end_s
        said = "".join(text[word.start : word.end] for word in word_times(pieces))
        assert said == re.sub(r"\W", "", text)
        assert (end.pcm, end.text_end) == (b"", len(text))


async def test_a_phrase_said_before_comes_back_the_same(stack: EmbeddedStack) -> None:
    first = await speak(stack, "Good morning!", "am_michael", "en-US")
    again = await speak(stack, "Good morning!", "am_michael", "en-US")
    assert again == first
    # The very bytes: not the same sound, made again.
    assert all(each.pcm is known.pcm for each, known in zip(again, first, strict=True))
    other_voice = await speak(stack, "Good morning!", "af_heart", "en-US")
    assert sound(other_voice) != sound(first)


@pytest.mark.parametrize("text", ["", " ", "...", "😀", "「」"])
async def test_a_text_without_words_is_not_passed_off_as_spoken(
    stack: EmbeddedStack, text: str
) -> None:
    with pytest.raises(ProviderMuteError):
        await speak(stack, text, "af_heart", "en-US")


async def test_closing_stops_the_model(
    stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next sentence does not wait until the given-up one is spoken to its end."""
    loop = asyncio.get_running_loop()
    began, stopped = asyncio.Event(), asyncio.Event()
    speak_to_its_end = KokoroModel.speak

    def noted(*args: Any) -> Any:
        loop.call_soon_threadsafe(began.set)
        try:
            return speak_to_its_end(*args)
        except Exception:
            loop.call_soon_threadsafe(stopped.set)
            raise

    with monkeypatch.context() as patched:
        patched.setattr(KokoroModel, "speak", noted)
        long = " ".join(ENGLISH[1::-1])
        speaking = asyncio.ensure_future(speak(stack, long, "bf_emma", "en-US"))
        await began.wait()
        speaking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await speaking
        # Waits for the thread, whatever became of the long one.
        assert sound(await speak(stack, "Yes.", "bf_emma", "en-US"))
    assert stopped.is_set()


async def test_an_unknown_voice_is_refused(stack: EmbeddedStack) -> None:
    with pytest.raises(ProviderError, match="'nobody'") as caught:
        await speak(stack, "Hello.", "nobody", "en-US")
    assert not caught.value.transient
