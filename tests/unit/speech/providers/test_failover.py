"""The next provider takes over when one fails to begin, and an outage costs a bounded amount."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.speech.ports.chat import ChatMessage, ChatRequest, Role
from services.speech.ports.errors import ProviderError, ProviderQuotaError
from services.speech.ports.recognition import RecognitionRequest, Transcript
from services.speech.ports.stages import Stage
from services.speech.ports.synthesis import SpeechChunk, SpeechRequest, Voice
from services.speech.providers.failover.breaker import OutageRules
from services.speech.providers.failover.chat import FailoverChatModel
from services.speech.providers.failover.recognizer import FailoverRecognizer
from services.speech.providers.failover.relay import FailoverRules
from services.speech.providers.failover.synthesizer import FailoverSynthesizer
from services.speech.streams import closing, once
from tests.support.metrics import sample
from tests.support.scripted_providers import (
    ScriptedChat,
    ScriptedRecognizer,
    ScriptedSynthesizer,
    text_of,
)
from tests.support.virtual_time import in_virtual_time

RULES = FailoverRules(
    first_byte_s=4, outage=OutageRules(tries=2, first_probe_s=10, longest_probe_s=30)
)
PROMPT = [
    ChatMessage(role=Role.SYSTEM, content="You are a host."),
    ChatMessage(role=Role.USER, content="Why?"),
]
FAULTS = (
    ProviderError(Stage.CHAT, "one", "down", transient=True),
    ProviderError(Stage.CHAT, "one", "wrong key", transient=False),
    ProviderQuotaError(Stage.CHAT, "one", "used up"),
)


def scripted_chats(**first: object) -> tuple[ScriptedChat, ScriptedChat]:
    return (
        ScriptedChat(name="one", deltas=("From one.",), **first),  # type: ignore[arg-type]
        ScriptedChat(name="two", deltas=("From ", "two.")),
    )


async def reply(model: FailoverChatModel) -> str:
    return await text_of(model.stream(ChatRequest(messages=tuple(PROMPT))))


def state(stage: Stage, provider: str) -> list[str]:
    """The states that a provider is in, as Prometheus sees it."""
    name = "parley_provider_state"
    return [
        each
        for each in ("closed", "open", "half_open")
        if sample(name, stage=stage, provider=provider, state=each)
    ]


@pytest.mark.parametrize("error", FAULTS)
@in_virtual_time
async def test_any_error_before_the_first_word_passes_the_prompt_on(error: ProviderError) -> None:
    one, two = scripted_chats(error=error)
    async with FailoverChatModel.open([one, two], RULES) as model:
        assert await reply(model) == "From two."
    assert one.prompts == two.prompts == [PROMPT]
    assert one.closed == 1


@in_virtual_time
async def test_a_late_model_is_cancelled_and_the_next_replies() -> None:
    one, two = scripted_chats(first_s=60)
    async with FailoverChatModel.open([one, two], RULES) as model:
        assert await reply(model) == "From two."
        assert asyncio.get_running_loop().time() == pytest.approx(4)
        assert one.closed == 1


@in_virtual_time
async def test_the_last_provider_is_not_hurried() -> None:
    one, two = scripted_chats(error=FAULTS[0])
    two.first_s = 60
    async with FailoverChatModel.open([one, two], RULES) as model:
        assert await reply(model) == "From two."


@in_virtual_time
async def test_a_reply_that_has_begun_fails_and_is_not_restarted() -> None:
    one, two = scripted_chats(error=FAULTS[0])
    one.deltas = ("It is ", "lost.")
    async with FailoverChatModel.open([one, two], RULES) as model:
        deltas = model.stream(ChatRequest(messages=tuple(PROMPT)))
        assert await anext(deltas) == "It is "
        with pytest.raises(ProviderError, match="down"):
            await anext(deltas)
    assert two.prompts == []


@pytest.mark.parametrize("deltas", [("",), ("", "\n\n", " … ", "?!"), ("_", "**", "😀")])
@in_virtual_time
async def test_a_reply_without_a_word_is_a_failure_and_none_of_it_is_delivered(
    deltas: tuple[str, ...],
) -> None:
    one, two = ScriptedChat(name="one", deltas=deltas), ScriptedChat(name="two", deltas=("Two.",))
    async with FailoverChatModel.open([one, two], RULES) as model:
        assert [await reply(model) for _ in range(5)] == ["Two."] * 5
        assert len(one.prompts) == 2
        assert state(Stage.CHAT, "one") == ["open"]


@in_virtual_time
async def test_text_before_the_first_word_comes_with_it() -> None:
    one, two = ScriptedChat(name="one", deltas=("“", "…", "Yes", ".”")), ScriptedChat(name="two")
    async with FailoverChatModel.open([one, two], RULES) as model:
        assert [delta async for delta in model.stream(ChatRequest(messages=tuple(PROMPT)))] == [
            "“…Yes",
            ".”",
        ]
    assert two.prompts == []


@in_virtual_time
async def test_when_all_fail_the_last_error_is_raised() -> None:
    one, two = scripted_chats(error=FAULTS[0])
    two.error = ProviderQuotaError(Stage.CHAT, "two", "used up")
    two.deltas = ("",)
    async with FailoverChatModel.open([one, two], RULES) as model:
        with pytest.raises(ProviderQuotaError):
            await reply(model)


@in_virtual_time
async def test_an_outage_costs_a_few_tries_then_only_probes_are_sent() -> None:
    one, two = scripted_chats(error=FAULTS[0])
    async with FailoverChatModel.open([one, two], RULES) as model:
        for _ in range(5):
            assert await reply(model) == "From two."
        assert len(one.prompts) == 2
        assert state(Stage.CHAT, "one") == ["open"]

        await asyncio.sleep(10 + 20 + 30 + 30 + 1)  # Ever more rarely.
        probes = one.prompts[2:]
        assert len(probes) == 4
        assert all(PROMPT[0] not in probe for probe in probes)
        assert state(Stage.CHAT, "one") == ["open"]

        one.error = None
        await asyncio.sleep(30)
        assert state(Stage.CHAT, "one") == ["closed"]
        assert await reply(model) == "From one."

        # The next outage has all its tries, and is probed soon again.
        one.error = FAULTS[0]
        asked = len(one.prompts)
        for _ in range(5):
            assert await reply(model) == "From two."
        assert len(one.prompts) == asked + 2
        await asyncio.sleep(11)
        assert len(one.prompts) == asked + 3


@in_virtual_time
async def test_a_provider_is_left_alone_for_as_long_as_it_asks() -> None:
    limited = ProviderQuotaError(Stage.CHAT, "one", "too many requests", retry_after_s=45)
    one, two = scripted_chats(error=limited)
    async with FailoverChatModel.open([one, two], RULES) as model:
        for _ in range(3):
            assert await reply(model) == "From two."
        assert len(one.prompts) == 1
        await asyncio.sleep(44)
        assert len(one.prompts) == 1
        await asyncio.sleep(2)
        assert len(one.prompts) == 2  # The probe is told the same.
        await asyncio.sleep(40)
        assert len(one.prompts) == 2
        one.error = None
        await asyncio.sleep(10)
        assert state(Stage.CHAT, "one") == ["closed"]
        assert await reply(model) == "From one."


@in_virtual_time
async def test_a_probe_that_hangs_proves_nothing() -> None:
    one, two = scripted_chats(first_s=60)
    async with FailoverChatModel.open([one, two], RULES) as model:
        await reply(model)
        await reply(model)
        await asyncio.sleep(12)
        assert state(Stage.CHAT, "one") == ["half_open"]
        await asyncio.sleep(3)
        assert state(Stage.CHAT, "one") == ["open"]
        assert one.closed == 3


@in_virtual_time
async def test_an_answer_resets_the_count_of_failures() -> None:
    one, two = scripted_chats()
    async with FailoverChatModel.open([one, two], RULES) as model:
        for number in range(10):
            one.error = FAULTS[0] if number % 2 else None
            await reply(model)
    assert len(one.prompts) == 10
    assert len(two.prompts) == 5


@in_virtual_time
async def test_when_all_are_out_requests_fail_at_once() -> None:
    one, two = scripted_chats(error=FAULTS[0])
    two.deltas, two.error = ("",), FAULTS[1]
    async with FailoverChatModel.open([one, two], RULES) as model:
        for _ in range(5):
            with pytest.raises(ProviderError):
                await reply(model)
        assert [len(one.prompts), len(two.prompts)] == [2, 2]
        with pytest.raises(ProviderError, match="every provider is out") as failure:
            await reply(model)
        assert failure.value.transient


@in_virtual_time
async def test_a_request_closed_early_counts_against_nobody() -> None:
    one, two = scripted_chats(first_s=3)
    async with FailoverChatModel.open([one, two], RULES) as model:
        for _ in range(5):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await reply(model)
        assert state(Stage.CHAT, "one") == ["closed"]
        one.error = FAULTS[0]
        await reply(model)
        one.error = None
        # Hearing a first word and no more is an answer.
        async with closing(model.stream(ChatRequest(messages=tuple(PROMPT)))) as deltas:
            assert await anext(deltas) == "From one."
        one.error = FAULTS[0]
        await reply(model)
        assert state(Stage.CHAT, "one") == ["closed"]
    assert one.closed == 8


# --- Recognition


class Microphone:
    """Gives a piece of audio every second."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces = pieces
        self.given = 0
        self.is_closed = False

    async def audio(self) -> AsyncIterator[bytes]:
        try:
            for piece in self.pieces:
                await asyncio.sleep(1)
                self.given += 1
                yield piece
        finally:
            self.is_closed = True


class StreamingRecognizer(ScriptedRecognizer):
    """Guesses after each piece, and fails after some."""

    async def transcribe(
        self, audio: AsyncIterator[bytes], request: RecognitionRequest
    ) -> AsyncIterator[Transcript]:
        async for piece in audio:
            self.heard.append(piece)
            yield Transcript(text=piece.decode(), is_final=False)
            if self.error is not None and len(self.heard) == 2:
                # Fails in the middle of waiting for the next piece.
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.5):
                        await anext(audio)
                raise self.error
        yield Transcript(text="streamed", is_final=True)


@asynccontextmanager
async def recognizing(
    *recognizers: ScriptedRecognizer,
) -> AsyncIterator[FailoverRecognizer]:
    async with FailoverRecognizer.open(recognizers, RULES) as recognizer:
        yield recognizer


@in_virtual_time
async def test_the_next_recognizer_hears_the_whole_utterance() -> None:
    microphone = Microphone([b"aa", b"bb", b"cc", b"dd"])
    one = StreamingRecognizer(
        name="one", error=ProviderError(Stage.RECOGNITION, "one", "down", transient=True)
    )
    two = ScriptedRecognizer(name="two")
    async with recognizing(one, two) as recognizer:
        heard = [
            (transcript.text, transcript.is_final)
            async for transcript in recognizer.transcribe(
                microphone.audio(), RecognitionRequest(language_codes=("en",))
            )
        ]
    assert heard == [("aa", False), ("bb", False), ("hello there", True)]
    assert two.heard == [b"aabbccdd"]
    assert microphone.given == 4
    assert microphone.is_closed


@in_virtual_time
async def test_a_recognizer_is_late_only_after_the_end_of_the_audio() -> None:
    microphone = Microphone([b"aa"] * 20)
    one, two = ScriptedRecognizer(name="one", first_s=60), ScriptedRecognizer(name="two")
    async with recognizing(one, two) as recognizer:
        texts = [
            each.text
            async for each in recognizer.transcribe(
                microphone.audio(), RecognitionRequest(language_codes=("e",))
            )
        ]
    assert texts == ["hello there"]
    assert one.heard == two.heard == [b"aa" * 20]
    assert asyncio.get_running_loop().time() == pytest.approx(20 + 4)


@in_virtual_time
async def test_what_is_wrong_with_the_audio_is_not_the_recognizers_fault() -> None:
    async def too_much() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1_000_000)

    one, two = ScriptedRecognizer(name="one"), ScriptedRecognizer(name="two")
    async with recognizing(one, two) as recognizer:
        for _ in range(5):
            with pytest.raises(ServiceError) as failure:
                await anext(
                    recognizer.transcribe(too_much(), RecognitionRequest(language_codes=("en",)))
                )
            assert failure.value.reason is Reason.AUDIO_TOO_LONG
        assert two.heard == []
        assert state(Stage.RECOGNITION, "one") == ["closed"]


@in_virtual_time
async def test_an_utterance_without_words_is_an_answer() -> None:
    one, two = ScriptedRecognizer(name="one", hypotheses=("",)), ScriptedRecognizer(name="two")
    async with recognizing(one, two) as recognizer:
        final = [
            each
            async for each in recognizer.transcribe(
                Microphone([b"aa"]).audio(), RecognitionRequest(language_codes=("en",))
            )
        ]
    assert [each.text for each in final] == [""]
    assert two.heard == []


# --- Synthesis

OTHER_VOICES = (
    Voice(voice_id="carla", display_name="Carla", language_codes=("en-US",)),
    Voice(voice_id="carl", display_name="Carl", language_codes=("en-US",)),
    Voice(voice_id="mei", display_name="Mei", language_codes=("zh-CN",)),
)
DOWN = ProviderError(Stage.SYNTHESIS, "one", "down", transient=True)


async def speak(
    one: ScriptedSynthesizer,
    two: ScriptedSynthesizer,
    *,
    voice_id: str = "anna",
    language_code: str = "en",
    **voices_of: str,
) -> list[SpeechChunk]:
    async with FailoverSynthesizer.open(
        [one, two], RULES, voices_of={"two": voices_of}
    ) as synthesizer:
        chunks = synthesizer.speak(
            once("Hello."), SpeechRequest(voice_id=voice_id, language_code=language_code)
        )
        return [chunk async for chunk in chunks]


@pytest.mark.parametrize(
    ("voice_id", "language_code", "pairs", "expected"),
    [
        ("anna", "en", {}, "carla"),
        ("anna", "en", {"anna": "carl"}, "carl"),
        ("wei", "zh", {"anna": "carl"}, "mei"),
    ],
)
@in_virtual_time
async def test_another_synthesizer_speaks_with_its_own_voice_for_the_language(
    voice_id: str, language_code: str, pairs: dict[str, str], expected: str
) -> None:
    one = ScriptedSynthesizer(name="one", error=DOWN)
    two = ScriptedSynthesizer(name="two", voices=OTHER_VOICES)
    chunks = await speak(one, two, voice_id=voice_id, language_code=language_code, **pairs)
    assert one.spoken_by == [voice_id]
    assert two.spoken_by == [expected]
    assert chunks[0].words


@in_virtual_time
async def test_one_that_lacks_the_language_is_not_asked() -> None:
    one = ScriptedSynthesizer(name="one", error=DOWN)
    two = ScriptedSynthesizer(name="two", voices=OTHER_VOICES[:2])
    with pytest.raises(ProviderError, match="down"):
        await speak(one, two, voice_id="wei", language_code="zh")
    assert two.spoken == []


@pytest.mark.parametrize("fault", [{"is_mute": True}, {"first_s": 60.0}])
@in_virtual_time
async def test_a_silent_synthesizer_is_an_outage(fault: dict[str, float]) -> None:
    one = ScriptedSynthesizer(name="one", **fault)  # type: ignore[arg-type]
    two = ScriptedSynthesizer(name="two")
    async with FailoverSynthesizer.open([one, two], RULES, voices_of={}) as synthesizer:
        for _ in range(3):
            chunks = synthesizer.speak(
                once("Hello."), SpeechRequest(voice_id="anna", language_code="en")
            )
            assert [chunk async for chunk in chunks]
        assert len(one.spoken) == 2
        assert len(two.spoken) == 3
        assert state(Stage.SYNTHESIS, "one") == ["open"]
        one.is_mute, one.first_s = False, 0.0
        await asyncio.sleep(20)
        assert state(Stage.SYNTHESIS, "one") == ["closed"]


class BreakingSynthesizer(ScriptedSynthesizer):
    """Fails after the first chunk."""

    async def _speak_text(self, text: str, voice_id: str) -> AsyncIterator[SpeechChunk]:
        yield SpeechChunk(pcm=b"\x01\x00" * 32)
        raise DOWN


class SilentSynthesizer(ScriptedSynthesizer):
    """Gives digital silence, then the sound of `ends_with`."""

    ends_with: bytes = b""

    async def _speak_text(self, text: str, voice_id: str) -> AsyncIterator[SpeechChunk]:
        self.spoken.append(text)
        for _ in range(3):
            yield SpeechChunk(pcm=bytes(64))
        yield SpeechChunk(pcm=self.ends_with)


@in_virtual_time
async def test_silence_alone_is_not_audio() -> None:
    one, two = SilentSynthesizer(name="one"), ScriptedSynthesizer(name="two")
    async with FailoverSynthesizer.open([one, two], RULES, voices_of={}) as synthesizer:
        chunks = synthesizer.speak(
            once("Hello."), SpeechRequest(voice_id="anna", language_code="en")
        )
        assert any(b"".join([chunk.pcm async for chunk in chunks]))
        assert (one.spoken, two.spoken) == (["Hello."], ["Hello."])
        one.ends_with = b"\x01\x00"
        chunks = synthesizer.speak(
            once("Hello."), SpeechRequest(voice_id="anna", language_code="en")
        )
        assert b"".join([chunk.pcm async for chunk in chunks]) == bytes(3 * 64) + b"\x01\x00"


@in_virtual_time
async def test_a_segment_heard_in_part_is_not_restarted() -> None:
    two = ScriptedSynthesizer(name="two")
    async with FailoverSynthesizer.open(
        [BreakingSynthesizer(name="one"), two], RULES, voices_of={}
    ) as synthesizer:
        for _ in range(2):
            chunks = synthesizer.speak(
                once("Hello."), SpeechRequest(voice_id="anna", language_code="en")
            )
            assert await anext(chunks)
            with pytest.raises(ProviderError, match="down"):
                await anext(chunks)
        assert two.spoken == []
        # It is an outage all the same.
        chunks = synthesizer.speak(
            once("Hello."), SpeechRequest(voice_id="anna", language_code="en")
        )
        assert [chunk async for chunk in chunks]
        assert two.spoken == ["Hello."]


@in_virtual_time
async def test_another_sample_rate_is_converted_to_that_of_the_first() -> None:
    one = ScriptedSynthesizer(name="one", error=DOWN)
    two = ScriptedSynthesizer(name="two", sample_rate_hertz=16_000)
    chunks = await speak(one, two)
    expected_s = len("Hello.") * two.character_s
    assert sum(len(chunk.pcm) for chunk in chunks) / 2 == pytest.approx(24_000 * expected_s)
    assert chunks[0].words


class FailingInTheSecondText(ScriptedSynthesizer):
    """Speaks one text, and fails at the next."""

    async def _speak_text(self, text: str, voice_id: str) -> AsyncIterator[SpeechChunk]:
        if self.spoken:
            raise DOWN
        self.spoken.append(text)
        yield SpeechChunk(pcm=b"\x01\x00" * 240, words=self.words(text))


async def two_texts() -> AsyncIterator[str]:
    yield "First one."
    yield "Second one."


@in_virtual_time
async def test_another_synthesizer_speaks_on_where_one_failed_between_texts() -> None:
    one = FailingInTheSecondText(name="one")
    two = ScriptedSynthesizer(name="two", sample_rate_hertz=16_000)
    async with FailoverSynthesizer.open([one, two], RULES, voices_of={}) as synthesizer:
        spoken = synthesizer.speak(two_texts(), SpeechRequest(voice_id="anna", language_code="en"))
        chunks = [chunk async for chunk in spoken]
    assert (one.spoken, two.spoken) == (["First one."], ["Second one."])
    words = [word for chunk in chunks for word in chunk.words]
    texts = "First one.Second one."
    assert [texts[word.start : word.end] for word in words] == ["First", "one.", "Second", "one."]
    # The second text begins where the sound of the first one ends.
    assert words[2].start_s == pytest.approx(0.01)
    assert [chunk.text_end for chunk in chunks if chunk.text_end] == [10, 21]
