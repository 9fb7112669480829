"""What is Volcengine's own: its requests, its codes, and how sessions end early."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from structlog.testing import capture_logs

from services.speech.ports.errors import ProviderError, ProviderQuotaError
from services.speech.ports.recognition import RecognitionRequest, TurnEnd
from services.speech.ports.synthesis import SpeechRequest
from services.speech.vendors import volcengine_speech, volcengine_transcription
from tests.conformance.asking import TEXTS, each, heard, hearing, sound, speaking, spoken, until
from tests.conformance.script import KEY, Utterance
from tests.conformance.servers import volcengine_frames
from tests.conformance.servers import volcengine_speech as speech_server
from tests.conformance.servers import volcengine_transcription as transcription_server
from tests.conformance.subject import PATIENT


def listener(server: Any, **options: Any) -> Any:
    """A recognizer for a server."""
    settings = volcengine_transcription.VolcengineTranscriptionSettings(
        setting="SPEECH_RECOGNIZER", base_url=server.url, api_key=SecretStr(KEY), **options
    )
    return volcengine_transcription.open(settings, PATIENT)


def test_no_pause_is_longer_than_five_seconds() -> None:
    with pytest.raises(ValidationError, match="turn_silence_ms"):
        volcengine_transcription.VolcengineTranscriptionSettings(
            setting="SPEECH_RECOGNIZER", api_key=SecretStr(KEY), turn_silence_ms=5_001
        )


def speaker(server: Any, **options: Any) -> Any:
    """A synthesizer for a server."""
    settings = volcengine_speech.VolcengineSpeechSettings(
        setting="SPEECH_SYNTHESIZER", base_url=server.url, api_key=SecretStr(KEY), **options
    )
    return volcengine_speech.VENDOR.open(settings, PATIENT)


def account(head: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that name the account and what it has bought."""
    named = ("x-api-key", "x-api-app-key", "x-api-access-key", "x-api-resource-id")
    return {key: value for key, value in head.items() if key in named}


async def test_names_the_account_by_a_newer_or_an_older_key() -> None:
    async with transcription_server.TranscriptionServer.open() as server:
        async with listener(server) as recognizer:
            await heard(recognizer, hearing())
        async with listener(server, app_id="42", model="volc.bigasr.sauc.duration") as recognizer:
            await heard(recognizer, hearing())
        heads = [account(head) for head in server.heads]
        connections = {head["x-api-connect-id"] for head in server.heads}
    newer = {"x-api-key": KEY, "x-api-resource-id": "volc.seedasr.sauc.duration"}
    older = {
        "x-api-app-key": "42",
        "x-api-access-key": KEY,
        "x-api-resource-id": "volc.bigasr.sauc.duration",
    }
    assert heads[0] == newer
    assert heads[-1] == older
    assert len(connections) == len(heads)


async def test_asks_for_sentences_and_hot_words() -> None:
    async with (
        transcription_server.TranscriptionServer.open() as server,
        listener(server, second_pass=True, vocabulary_id="list-1", sentence_silence_ms=300) as (
            recognizer
        ),
    ):
        many = tuple(f"word-{number}" for number in range(60))
        await heard(recognizer, RecognitionRequest(language_codes=("zh-CN",), hot_words=many))
        await heard(recognizer, hearing())
    first, second = (request["request"] for request in server.requests)
    assert (first["result_type"], first["show_utterances"]) == ("full", True)
    assert (first["enable_nonstream"], first["end_window_size"]) == (True, 300)
    assert first["corpus"]["boosting_table_id"] == "list-1"
    hot_words = json.loads(first["corpus"]["context"])["hotwords"]
    assert [word["word"] for word in hot_words] == list(many[:50])
    assert second["corpus"] == {"boosting_table_id": "list-1"}
    assert server.requests[0]["audio"]["rate"] == 16_000


@pytest.mark.parametrize(
    ("code", "message", "is_quota", "is_transient"),
    [
        (45_000_001, "invalid parameter", False, False),
        (45_000_010, "load grant: requested grant not found", False, False),
        (45_000_030, "[resource_id=volc.seedasr.sauc.concurrent] not granted", False, False),
        (45_000_081, "Timeout waiting next packet", False, True),
        (45_000_000, "quota exceeded for types: concurrency", True, True),
        (55_000_000, "internal error", False, True),
        (55_000_031, "server is busy", False, True),
    ],
)
async def test_tells_why_it_fails(
    code: int, message: str, is_quota: bool, is_transient: bool
) -> None:
    async with (
        transcription_server.TranscriptionServer.open() as server,
        listener(server) as recognizer,
    ):
        server.refusal = volcengine_frames.error(code, f"{message} {KEY}")
        with capture_logs() as events, pytest.raises(ProviderError) as caught:
            await heard(recognizer, hearing())
    error = caught.value
    assert isinstance(error, ProviderQuotaError) is is_quota
    assert error.transient is is_transient
    assert error.vendor_message.startswith(message)
    (event,) = events
    assert (event["event"], event["code"]) == ("vendor reported an error", code)
    assert event["log_id"] == volcengine_frames.LOG_ID


async def test_hears_nothing_in_sound_that_the_vendor_calls_empty() -> None:
    async with (
        transcription_server.TranscriptionServer.open() as server,
        listener(server) as recognizer,
    ):
        server.utterance = Utterance(partials=())
        server.ending = volcengine_frames.error(45_000_002, "no valid speech in audio")
        (final,) = await heard(recognizer, hearing())
    assert (final.text, final.is_final) == ("", True)


async def test_fails_when_sound_is_called_empty_that_has_not_ended() -> None:
    async with (
        transcription_server.TranscriptionServer.open() as server,
        listener(server) as recognizer,
    ):
        server.refusal = volcengine_frames.error(45_000_002, "no valid speech in audio")
        with pytest.raises(ProviderError) as caught:
            await anext(recognizer.transcribe(sound(then=asyncio.Event()), hearing()))
    assert caught.value.transient


async def test_ends_a_turn_although_the_vendor_answers_each_packet() -> None:
    async def packets() -> AsyncIterator[bytes]:
        while True:
            yield bytes(volcengine_transcription.PACKET_BYTES)
            await asyncio.sleep(0.02)

    async with (
        transcription_server.TranscriptionServer.open() as server,
        # Longer than a busy machine takes from one packet to the next.
        listener(server, turn_silence_ms=1_000) as recognizer,
    ):
        server.utterance = Utterance(ends_itself=True)
        server.repeats = True
        transcripts = [item async for item in recognizer.transcribe(packets(), hearing())]
    assert transcripts[-1].turn_end is TurnEnd.CERTAIN
    ends = [item.turn_end for item in transcripts if item.turn_end]
    assert ends == [TurnEnd.LIKELY, TurnEnd.RESUMED, TurnEnd.LIKELY, TurnEnd.CERTAIN]


async def test_reports_an_error_in_the_document_of_an_answer() -> None:
    document = {"code": 45_000_001, "message": "no, not with this parameter"}
    async with (
        transcription_server.TranscriptionServer.open() as server,
        listener(server) as recognizer,
    ):
        server.refusal = volcengine_frames.numbered(document, 1)
        with pytest.raises(ProviderError, match="45000001") as caught:
            await heard(recognizer, hearing())
    assert not caught.value.transient
    assert "no, not with this parameter" in caught.value.vendor_message


async def test_leaves_ends_of_turns_to_the_service_if_so_set() -> None:
    goes_on = asyncio.Event()
    transcripts = []
    async with (
        transcription_server.TranscriptionServer.open() as server,
        listener(server, ends_turns=False) as recognizer,
    ):
        server.utterance = Utterance(ends_itself=True)
        assert not recognizer.detects_turn_ends
        async for transcript in recognizer.transcribe(sound(then=goes_on), hearing()):
            transcripts.append(transcript)
            if transcript.text == server.utterance.final:
                goes_on.set()
    assert transcripts[-1].is_final
    assert [transcript.turn_end for transcript in transcripts] == [None] * len(transcripts)


async def test_asks_for_voice_speed_language_style_and_emotion() -> None:
    request = SpeechRequest(
        voice_id="zh_male_m191_uranus_bigtts",
        language_code="ja-JP",
        speed=9.0,
        style="Whisper.",
        emotion="sad",
    )
    async with (
        speech_server.SpeechServer.open() as server,
        speaker(server, variant="seed-tts-1.1", word_times=False, loudness=1.2) as synthesizer,
    ):
        await spoken(synthesizer, TEXTS, request)
        await spoken(synthesizer, TEXTS)
    first, second = server.starts
    assert first == {
        "speaker": "zh_male_m191_uranus_bigtts",
        "model": "seed-tts-1.1",
        "audio_params": {
            "format": "pcm",
            "sample_rate": 24_000,
            "speech_rate": 100,
            "loudness_rate": 20,
            "emotion": "sad",
        },
        "additions": '{"explicit_language": "ja", "context_texts": ["Whisper."]}',
    }
    assert "additions" not in second


async def test_speaks_many_replies_on_one_connection() -> None:
    async with speech_server.SpeechServer.open() as server, speaker(server) as synthesizer:
        for _ in range(3):
            await spoken(synthesizer, TEXTS)
    assert len(server.starts) == 3
    assert len(server.heads) == 1


async def cancelled(synthesizer: Any, texts: AsyncIterator[str]) -> None:
    """Break a reply off, and let it speak another."""
    chunks = synthesizer.speak(texts, speaking(synthesizer))
    await anext(chunks)
    await chunks.aclose()
    await spoken(synthesizer, TEXTS)


async def unfinished() -> AsyncIterator[str]:
    """Yield a text, and never the next."""
    yield TEXTS[0]
    await asyncio.Event().wait()


@pytest.mark.parametrize("texts", [unfinished, lambda: each("Good morning. " * 20)])
async def test_keeps_the_connection_of_a_session_that_was_cancelled_in_time(
    texts: Callable[[], AsyncIterator[str]],
) -> None:
    async with (
        speech_server.SpeechServer.open() as server,
        speaker(server, cancel_s=1.0) as synthesizer,
    ):
        await cancelled(synthesizer, texts())
    assert len(server.sessions) == 2
    assert len(server.heads) == 1


async def test_drops_the_connection_of_a_session_whose_cancelling_takes_long() -> None:
    async with speech_server.OlderServer.open() as server, speaker(server) as synthesizer:
        await cancelled(synthesizer, unfinished())
        await until(lambda: server.connection_count < len(server.heads))
    assert len(server.heads) > 1


@pytest.mark.parametrize("event", [51, 153])
async def test_tells_why_a_connection_or_a_session_fails(event: int) -> None:
    async with speech_server.SpeechServer.open() as server, speaker(server) as synthesizer:
        server.failing = event
        with pytest.raises(ProviderError, match="45000030") as caught:
            await spoken(synthesizer, TEXTS)
        server.failing = None
        await spoken(synthesizer, TEXTS)
    assert not caught.value.transient
    assert "voice is not granted" in caught.value.vendor_message


@pytest.mark.parametrize("server_class", [speech_server.SpeechServer, speech_server.NewerServer])
async def test_places_words_that_are_said_twice(
    server_class: type[speech_server.SpeechServer],
) -> None:
    texts: Sequence[str] = ("Good. ", "Good. ", "Good.")
    async with server_class.open() as server, speaker(server) as synthesizer:
        chunks = await spoken(synthesizer, texts)
    words = [word for chunk in chunks for word in chunk.words]
    assert [word.start for word in words] == [*range(5), *range(6, 11), *range(12, 17)]


@pytest.mark.parametrize(
    "settings",
    [
        volcengine_transcription.VolcengineTranscriptionSettings,
        volcengine_speech.VolcengineSpeechSettings,
    ],
)
def test_wants_a_key(settings: Any) -> None:
    with pytest.raises(ValueError, match="SPEECH_TESTED_API_KEY must be set"):
        settings(setting="SPEECH_TESTED")
