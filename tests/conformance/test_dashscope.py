"""What only DashScope's adapters do: tasks, sentences, and what each model is told."""

from collections.abc import AsyncIterator

import pytest

from services.speech.ports.errors import ProviderError, ProviderQuotaError
from services.speech.ports.recognition import RecognitionRequest, Transcript
from services.speech.ports.synthesis import SpeechChunk, SpeechRequest
from services.speech.vendors.dashscope_speech import VENDOR as SPEECH
from services.speech.vendors.dashscope_transcription import VENDOR as TRANSCRIPTION
from tests.conformance.script import CHARACTER_S, KEY, WORD_S, Trouble, Utterance, sound_of
from tests.conformance.servers.dashscope_speech import SpeechServer
from tests.conformance.servers.dashscope_transcription import TranscriptionServer
from tests.conformance.subject import Subject

SPEAKER = Subject(name="speech", vendor=SPEECH, server=SpeechServer.open)
LISTENER = Subject(name="transcription", vendor=TRANSCRIPTION, server=TranscriptionServer.open)
CHINESE = RecognitionRequest(language_codes=("zh-CN",))
REQUEST = SpeechRequest(voice_id="longanyang", language_code="zh-CN")


async def texts_of(*texts: str) -> AsyncIterator[str]:
    """Yield texts."""
    for text in texts:
        yield text


async def sound_for(seconds: float) -> AsyncIterator[bytes]:
    """Yield silence in chunks of 20 ms."""
    for _ in range(round(seconds / 0.02)):
        yield bytes(640)


async def test_times_each_word_from_the_beginning_of_its_sentence() -> None:
    async with SpeechServer.open() as server, SPEAKER.open(server) as synthesizer:
        texts = texts_of("你好,", " Hi!")
        chunks: list[SpeechChunk] = [each async for each in synthesizer.speak(texts, REQUEST)]
    assert b"".join(chunk.pcm for chunk in chunks) == sound_of("你好, Hi!", 24_000)
    words = [word for chunk in chunks for word in chunk.words]
    assert [word.start for word in words] == [0, 1, 2, 4, 5, 6]
    assert [word.end for word in words] == [1, 2, 3, 5, 6, 7]
    starts = [each * CHARACTER_S for each in range(6)]
    assert [word.start_s for word in words] == pytest.approx(starts)
    assert [chunk.text_end for chunk in chunks if chunk.text_end is not None] == [3, 7]


async def test_asks_for_speed_language_and_style_or_emotion() -> None:
    whisper = SpeechRequest(
        voice_id="longanhuan", language_code="en-US", speed=9.0, style="Whisper.", emotion="sad"
    )
    sad = SpeechRequest(voice_id="longanyang", language_code="sv-SE", emotion="sad")
    async with SpeechServer.open() as server, SPEAKER.open(server) as synthesizer:
        for request in (whisper, sad, REQUEST):
            _ = [each async for each in synthesizer.speak(texts_of("Hello."), request)]
    first, second, third = (run["parameters"] for run in server.runs)
    assert first == {
        "text_type": "PlainText",
        "voice": "longanhuan",
        "format": "pcm",
        "sample_rate": 24_000,
        "volume": 50,
        "rate": 2.0,
        "word_timestamp_enabled": True,
        "language_hints": ["en"],
        "instruction": "Whisper.",
    }
    assert second["instruction"] == "你说话的情感是sad。"
    assert "language_hints" not in second
    assert "instruction" not in third


async def test_runs_task_after_task_on_one_connection() -> None:
    async with SpeechServer.open() as server, SPEAKER.open(server) as synthesizer:
        for _ in range(3):
            _ = [each async for each in synthesizer.speak(texts_of("好。"), REQUEST)]
    assert (len(server.sessions), len(server.heads)) == (3, 1)


async def test_begins_another_task_for_what_comes_after_a_long_pause() -> None:
    subject = Subject(
        name="speech", vendor=SPEECH, server=SpeechServer.open, options={"text_pause_s": 0.05}
    )
    async with SpeechServer.open() as server, subject.open(server) as synthesizer:

        async def texts() -> AsyncIterator[str]:
            yield "你好。"
            await server.finished.wait()
            yield "好。"

        chunks: list[SpeechChunk] = [each async for each in synthesizer.speak(texts(), REQUEST)]
    spoken = [session.texts for session in server.sessions if session.texts]
    assert spoken == [["你好。"], ["好。"]]
    assert len(server.heads) == 1
    assert [chunk.text_end for chunk in chunks if chunk.text_end is not None] == [3, 5]
    words = [word for chunk in chunks for word in chunk.words]
    assert (words[3].start, words[3].end) == (3, 4)
    assert words[3].start_s == pytest.approx(3 * CHARACTER_S)


async def test_joins_the_sentences_of_an_utterance() -> None:
    async with TranscriptionServer.open() as server, LISTENER.open(server) as recognizer:
        for final in ("你好。今天好吗?", "Good day. How are you?"):
            server.utterance = Utterance(partials=(final[:2],), final=final)
            heard: list[Transcript] = [
                each async for each in recognizer.transcribe(sound_for(0.3), CHINESE)
            ]
            assert (heard[0].text, heard[-1].text) == (final[:2], final)
            assert [each.is_final for each in heard] == [False] * (len(heard) - 1) + [True]
    assert [word.text for word in heard[-1].words] == ["Good", "day", "How", "are", "you"]
    assert heard[-1].words[2].start_s == pytest.approx(2 * WORD_S)


async def test_yields_an_empty_final_transcript_for_no_speech() -> None:
    async with TranscriptionServer.open() as server, LISTENER.open(server) as recognizer:
        server.utterance = Utterance(partials=(), final="")
        heard = [each async for each in recognizer.transcribe(sound_for(0.1), CHINESE)]
    assert heard == [Transcript(text="", is_final=True)]


async def test_tells_each_model_the_languages_and_hot_words_that_it_reads() -> None:
    request = RecognitionRequest(language_codes=("zh-CN", "en-US"), hot_words=("Parley", "小帕"))
    async with TranscriptionServer.open() as server:
        for model in ("fun-asr-realtime", "paraformer-realtime-v2"):
            subject = Subject(
                name=model,
                vendor=TRANSCRIPTION,
                server=TranscriptionServer.open,
                options={"model": model, "vocabulary_id": "vocab-1"},
            )
            async with subject.open(server) as recognizer:
                _ = [each async for each in recognizer.transcribe(sound_for(0.1), request)]
    assert [run["parameters"]["vocabulary_id"] for run in server.runs] == ["vocab-1"] * 2
    fun, paraformer = server.sessions
    assert (fun.languages, fun.hot_words) == ((), ("Parley", "小帕"))
    assert (paraformer.languages, paraformer.hot_words) == (("zh", "en"), ())


@pytest.mark.parametrize(
    ("code", "message", "is_quota", "is_transient"),
    [
        ("Throttling.AllocationQuota", "Allocated quota exceeded", True, True),
        ("SomethingNew", "Requests rate limit exceeded", True, True),
        ("InvalidParameter", "[cosyvoice:]Engine return error code: 418", False, False),
        ("ModelNotFound", "Model not found", False, False),
        ("InternalError", "Internal server error", False, True),
    ],
)
async def test_tells_why_a_task_failed(
    code: str, message: str, is_quota: bool, is_transient: bool
) -> None:
    async with SpeechServer.open() as server, SPEAKER.open(server) as synthesizer:
        server.failure = (code, f"{message} {KEY}")
        with pytest.raises(ProviderError) as caught:
            await anext(synthesizer.speak(texts_of("好。"), REQUEST))
    assert isinstance(caught.value, ProviderQuotaError) is is_quota
    assert caught.value.transient is is_transient
    assert caught.value.vendor_message.startswith(f"{code} {message}")
    assert KEY not in caught.value.vendor_message


@pytest.mark.parametrize(
    "garbage",
    [
        "{",
        "[]",
        '{"header": 1}',
        '{"header": {"event": "result-generated"}}',
        '{"header": {"event": "result-generated"}, "payload": {"output": {"sentence": {}}}}',
        '{"header": {"event": "result-generated"}, "payload": {"output": {"sentence": "hi"}}}',
    ],
)
async def test_calls_garbage_malformed(garbage: str) -> None:
    async with TranscriptionServer.open() as server, LISTENER.open(server) as recognizer:
        server.trouble = Trouble.GARBAGE
        server.garbage = garbage  # type: ignore[misc]
        with pytest.raises(ProviderError, match="malformed") as caught:
            _ = [each async for each in recognizer.transcribe(sound_for(0.3), CHINESE)]
    assert caught.value.transient


def test_wants_a_key() -> None:
    with pytest.raises(ValueError, match="SPEECH_RECOGNIZER_API_KEY must be set"):
        TRANSCRIPTION.settings(setting="SPEECH_RECOGNIZER")
