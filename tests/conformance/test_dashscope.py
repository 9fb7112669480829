"""DashScope's recognizers and voices against servers that follow their protocol."""

import asyncio
import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import pytest
from pydantic import SecretStr

from services.speech.ports import (
    ProviderError,
    ProviderQuotaError,
    RecognitionRequest,
    SpeechChunk,
    SpeechRequest,
    Transcript,
)
from services.speech.streams import Deadlines
from services.speech.vendors import dashscope_speech, dashscope_transcription
from tests.conformance.servers import dashscope_speech as speech_server
from tests.conformance.servers import dashscope_transcription as transcription_server
from tests.conformance.servers.dashscope_tasks import TaskServer

KEY = "sk-0123456789abcdef0123456789abcdef"
PATIENT = Deadlines(first_s=20, next_s=20, total_s=60)
SHORT = Deadlines(first_s=0.2, next_s=0.2, total_s=60)
CHINESE = RecognitionRequest(language_codes=("zh-CN",))
REQUEST = SpeechRequest(voice_id="longanyang", language_code="zh-CN")


async def texts_of(*texts: str) -> AsyncIterator[str]:
    """Yield texts."""
    for text in texts:
        yield text


async def sound_of(seconds: float) -> AsyncIterator[bytes]:
    """Yield silence in chunks of 20 ms, and an odd rest."""
    for _ in range(round(seconds / 0.02)):
        yield bytes(640)
    yield bytes(2)


async def endless(sound: bytes) -> AsyncIterator[bytes]:
    """Yield sound, then nothing more."""
    yield sound
    await asyncio.Event().wait()


def speaker(server: TaskServer, deadlines: Deadlines = PATIENT, **settings: Any) -> Any:
    """A synthesizer for a server."""
    chosen = dashscope_speech.DashScopeSpeechSettings(
        setting="SPEECH_SYNTHESIZER", base_url=server.url, api_key=SecretStr(KEY), **settings
    )
    return dashscope_speech.open(chosen, deadlines)


def listener(server: TaskServer, deadlines: Deadlines = PATIENT, **settings: Any) -> Any:
    """A recognizer for a server."""
    chosen = dashscope_transcription.DashScopeTranscriptionSettings(
        setting="SPEECH_RECOGNIZER", base_url=server.url, api_key=SecretStr(KEY), **settings
    )
    return dashscope_transcription.open(chosen, deadlines)


async def test_speaks_a_reply_in_one_task_with_the_times_of_its_words() -> None:
    async with speech_server.open_server() as server, speaker(server) as synthesizer:
        texts = texts_of("你好,", "Hi!")
        chunks: list[SpeechChunk] = [each async for each in synthesizer.speak(texts, REQUEST)]
    pcm = b"".join(chunk.pcm for chunk in chunks)
    assert pcm == b"\x01\x02" * (6 * speech_server.CHARACTER_BYTES // 2)
    assert all(len(chunk.pcm) % 2 == 0 for chunk in chunks)
    words = [word for chunk in chunks for word in chunk.words]
    assert [(word.start, word.end) for word in words] == [(each, each + 1) for each in range(6)]
    assert [word.start_s for word in words] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert [word.end_s for word in words] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert [chunk.text_end for chunk in chunks if chunk.text_end is not None] == [3, 6]
    assert [task.texts for task in server.tasks] == [["你好,", "Hi!"]]


async def test_asks_for_voice_language_speed_and_style() -> None:
    request = SpeechRequest(
        voice_id="longanhuan", language_code="en-US", speed=9.0, style="Whisper.", emotion="sad"
    )
    async with speech_server.open_server() as server, speaker(server) as synthesizer:
        _ = [each async for each in synthesizer.speak(texts_of("Hello."), request)]
        _ = [each async for each in synthesizer.speak(texts_of("你好。"), REQUEST)]
    first, second = (task.run for task in server.tasks)
    assert (first["model"], first["task"]) == ("cosyvoice-v3-flash", "tts")
    assert first["parameters"] == {
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
    assert second["parameters"]["language_hints"] == ["zh"]
    assert "instruction" not in second["parameters"]


async def test_sends_each_text_when_it_comes_and_yields_its_sound_before_the_next() -> None:
    heard = asyncio.Event()

    async def texts() -> AsyncIterator[str]:
        yield "一。"
        await heard.wait()
        yield "二。"

    async with speech_server.open_server() as server, speaker(server) as synthesizer:
        async for chunk in synthesizer.speak(texts(), REQUEST):
            if chunk.text_end == 2:
                assert server.tasks[0].texts == ["一。"]
                heard.set()
    assert server.tasks[0].texts == ["一。", "二。"]


async def test_reuses_the_connection_of_a_task_that_finished() -> None:
    async with speech_server.open_server() as server, speaker(server) as synthesizer:
        for _ in range(3):
            _ = [each async for each in synthesizer.speak(texts_of("好。"), REQUEST)]
    assert len(server.tasks) == 3
    assert len(server.headers) == 1


async def test_begins_another_task_for_what_comes_after_a_long_pause() -> None:
    async with (
        speech_server.open_server() as server,
        speaker(server, text_pause_s=0.05) as synthesizer,
    ):

        async def texts() -> AsyncIterator[str]:
            yield "你好。"
            await server.until("finish-task")
            yield "好。"

        chunks: list[SpeechChunk] = [each async for each in synthesizer.speak(texts(), REQUEST)]
    assert [task.texts for task in server.tasks if task.texts] == [["你好。"], ["好。"]]
    assert len(server.headers) == 1
    ends = [chunk.text_end for chunk in chunks if chunk.text_end is not None]
    assert ends == [3, 5]
    words = [word for chunk in chunks for word in chunk.words]
    assert (words[3].start, words[3].end) == (3, 4)
    assert words[3].start_s == pytest.approx(0.3)


async def test_opens_another_connection_once_the_vendor_has_closed_the_idle_one() -> None:
    async with speech_server.open_server() as server, speaker(server) as synthesizer:
        _ = [each async for each in synthesizer.speak(texts_of("好。"), REQUEST)]
        await server.close_idle()
        await server.until("closed")
        chunks = [each async for each in synthesizer.speak(texts_of("好。"), REQUEST)]
    assert any(chunk.pcm for chunk in chunks)


async def test_cancels_by_closing_the_connection() -> None:
    async def texts() -> AsyncIterator[str]:
        yield "一。"
        await asyncio.Event().wait()

    async with speech_server.open_server() as server, speaker(server) as synthesizer:
        chunks = synthesizer.speak(texts(), REQUEST)
        await anext(chunks)
        await chunks.aclose()
        await server.until("closed")
        assert not server.tasks[0].is_input_finished
        assert [each async for each in synthesizer.speak(texts_of("好。"), REQUEST)]


async def test_transcribes_sentence_by_sentence_while_sound_arrives() -> None:
    async with transcription_server.open_server() as server, listener(server) as recognizer:
        assert recognizer.is_streaming
        assert not recognizer.detects_turn_ends
        heard: list[Transcript] = [
            each async for each in recognizer.transcribe(sound_of(0.3), CHINESE)
        ]
    assert [each.text for each in heard] == [
        *("你好", "你好。", "你好。今天", "你好。今天", "你好。今天好吗?", "你好。今天好吗?")
    ]
    assert [each.is_final for each in heard] == [False] * 5 + [True]
    assert [word.text for word in heard[-1].words] == [*"你好今天好吗"]
    assert heard[-1].words[2].start_s == pytest.approx(0.3)
    assert len(server.tasks[0].sound) == 15 * 640 + 2
    run = server.tasks[0].run
    assert run["model"] == "fun-asr-realtime"
    assert run["parameters"]["language_hints"] == ["zh"]
    assert run["input"] == {}


async def test_names_all_languages_only_to_models_that_read_them_and_sends_hot_words() -> None:
    request = RecognitionRequest(language_codes=("zh-CN", "en-US"), hot_words=("Parley", "小帕"))
    context = [{"role": "user", "content": [{"type": "input_text", "text": "Parley, 小帕"}]}]
    async with transcription_server.open_server() as server:
        for model in ("fun-asr-realtime", "paraformer-realtime-v2"):
            async with listener(server, model=model, vocabulary_id="vocab-1") as recognizer:
                for _ in range(2):
                    _ = [each async for each in recognizer.transcribe(sound_of(0.1), request)]
    fun, fun_again, paraformer, _ = (task.run for task in server.tasks)
    assert fun == fun_again
    assert "language_hints" not in fun["parameters"]
    assert fun["input"] == {"context": context}
    assert fun["parameters"]["vocabulary_id"] == "vocab-1"
    assert paraformer["parameters"]["language_hints"] == ["zh", "en"]
    assert paraformer["input"] == {}


async def test_yields_an_empty_final_transcript_for_no_speech() -> None:
    async with transcription_server.open_server() as server, listener(server) as recognizer:
        nothing = sound_of(0)
        await anext(nothing)
        heard = [each async for each in recognizer.transcribe(nothing, CHINESE)]
    assert heard == [Transcript(text="", is_final=True)]


async def test_stops_sending_sound_once_closed() -> None:
    async with transcription_server.open_server() as server, listener(server) as recognizer:
        transcripts = recognizer.transcribe(endless(bytes(3_200)), CHINESE)
        assert (await anext(transcripts)).text == "你好"
        await transcripts.aclose()
        await server.until("closed")
    assert not server.tasks[0].is_input_finished


@pytest.mark.parametrize(
    ("code", "message", "is_quota", "is_transient"),
    [
        ("Throttling.RateQuota", "Requests rate limit exceeded", True, True),
        ("Arrearage", "Access denied, account not in good standing", True, True),
        ("InvalidParameter", "[cosyvoice:]Engine return error code: 418", False, False),
        ("ModelNotFound", "Model not found", False, False),
        ("InternalError", "Internal server error", False, True),
    ],
)
async def test_tells_why_a_task_failed(
    code: str, message: str, is_quota: bool, is_transient: bool
) -> None:
    async with speech_server.open_server() as server, speaker(server) as synthesizer:
        server.faults.task_failed = (code, f"{message} {KEY}")
        with pytest.raises(ProviderError) as caught:
            await anext(synthesizer.speak(texts_of("好。"), REQUEST))
    assert isinstance(caught.value, ProviderQuotaError) is is_quota
    assert caught.value.transient is is_transient
    assert caught.value.vendor_message.startswith(f"{code} {message}")
    assert KEY not in caught.value.vendor_message


@pytest.mark.parametrize(
    ("status", "is_quota", "is_transient"),
    [
        (HTTPStatus.UNAUTHORIZED, False, False),
        (HTTPStatus.TOO_MANY_REQUESTS, True, True),
        (HTTPStatus.SERVICE_UNAVAILABLE, False, True),
    ],
)
async def test_tells_why_a_connection_is_refused(
    status: HTTPStatus, is_quota: bool, is_transient: bool
) -> None:
    async with transcription_server.open_server() as server, listener(server) as recognizer:
        server.faults.status = status
        with pytest.raises(ProviderError) as caught:
            await anext(recognizer.transcribe(sound_of(0.1), CHINESE))
    assert isinstance(caught.value, ProviderQuotaError) is is_quota
    assert caught.value.transient is is_transient
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "answer", ["{", "[]", '{"header": 1}', '{"header": {"event": "result-generated"}}']
)
async def test_calls_garbage_malformed(answer: str) -> None:
    async with transcription_server.open_server() as server, listener(server) as recognizer:
        server.faults.answer = answer
        with pytest.raises(ProviderError, match="malformed") as caught:
            _ = [each async for each in recognizer.transcribe(sound_of(0.3), CHINESE)]
    assert caught.value.transient


async def test_ignores_what_it_does_not_know() -> None:
    unknown = json.dumps({"header": {"event": "task-applauded"}, "payload": {"output": 1}})
    other = json.dumps({"header": {"event": "task-failed", "task_id": "other"}, "payload": {}})
    async with speech_server.open_server() as server, speaker(server) as synthesizer:
        server.faults.before_start = [unknown, other]
        server.faults.answer = unknown
        chunks = [each async for each in synthesizer.speak(texts_of("好。"), REQUEST)]
    assert any(chunk.pcm for chunk in chunks)


async def test_calls_a_silent_server_late() -> None:
    async with transcription_server.open_server() as server:
        server.faults.is_silent = True
        async with listener(server, SHORT) as recognizer:
            with pytest.raises(ProviderError, match="late") as caught:
                await anext(recognizer.transcribe(sound_of(0.1), CHINESE))
    assert caught.value.transient


@pytest.mark.parametrize("close_code", [1000, 1011])
async def test_calls_a_close_in_the_middle_transient(close_code: int) -> None:
    async with speech_server.open_server() as server, speaker(server) as synthesizer:
        server.faults.close_code = close_code
        with pytest.raises(ProviderError) as caught:
            _ = [each async for each in synthesizer.speak(texts_of("一。", "二。"), REQUEST)]
    assert caught.value.transient


def test_wants_a_key() -> None:
    with pytest.raises(ValueError, match="SPEECH_RECOGNIZER_API_KEY must be set"):
        dashscope_transcription.DashScopeTranscriptionSettings(setting="SPEECH_RECOGNIZER")
