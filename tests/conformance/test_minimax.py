"""What is MiniMax's own: its requests, its codes, and connections that are open beforehand."""

from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from services.speech.ports.errors import ProviderError, ProviderQuotaError
from services.speech.ports.synthesis import SpeechRequest
from services.speech.vendors import minimax_speech
from tests.conformance.asking import TEXTS, spoken, until
from tests.conformance.script import KEY
from tests.conformance.servers.minimax_speech import SpeechServer
from tests.conformance.subject import PATIENT


def speaker(server: Any, **options: Any) -> Any:
    """A synthesizer for a server."""
    settings = minimax_speech.MiniMaxSpeechSettings(
        setting="SPEECH_SYNTHESIZER", base_url=server.url, api_key=SecretStr(KEY), **options
    )
    return minimax_speech.VENDOR.open(settings, PATIENT)


async def test_asks_for_voice_speed_language_and_emotion() -> None:
    request = SpeechRequest(
        voice_id="male-qn-qingse", language_code="zh-TW", speed=9.0, emotion="sad"
    )
    async with (
        SpeechServer.open() as server,
        speaker(server, word_times=False, loudness=2.0) as synthesizer,
    ):
        await spoken(synthesizer, TEXTS, request)
    assert server.starts == [
        {
            "event": "task_start",
            "model": "speech-2.6-turbo",
            "voice_setting": {
                "voice_id": "male-qn-qingse",
                "speed": 2.0,
                "vol": 2.0,
                "pitch": 0,
                "emotion": "sad",
            },
            "audio_setting": {"sample_rate": 24_000, "format": "pcm", "channel": 1},
            "language_boost": "Chinese",
        }
    ]
    assert server.heads[0]["authorization"] == f"Bearer {KEY}"


async def test_sends_no_text_without_words() -> None:
    async with SpeechServer.open() as server, speaker(server) as synthesizer:
        chunks = await spoken(synthesizer, ("— ", "Good.", "…", " Morning."))
        texts = server.sessions[0].texts
    assert texts == ["Good.", " Morning."]
    assert [chunk.text_end for chunk in chunks if chunk.text_end is not None] == [7, 17, 17]
    words = [word for chunk in chunks for word in chunk.words]
    assert (words[0].start, words[-1].end) == (2, 17)


async def test_opens_the_next_connection_before_it_is_needed() -> None:
    async with SpeechServer.open() as server, speaker(server) as synthesizer:
        await spoken(synthesizer, TEXTS)
        await until(lambda: len(server.heads) == 2 and server.connection_count == 1)
        await spoken(synthesizer, TEXTS)
        assert len(server.sessions) == 2


@pytest.mark.parametrize(
    ("code", "is_quota", "is_transient"),
    [
        (1000, False, True),
        (1001, False, True),
        (1002, True, True),
        (1004, False, False),
        (1008, True, True),
        (1013, False, True),
        (1026, False, False),
        (1039, True, True),
        (2013, False, False),
        (2049, False, False),
        (2056, True, True),
    ],
)
async def test_tells_why_it_fails(code: int, is_quota: bool, is_transient: bool) -> None:
    async with SpeechServer.open() as server, speaker(server) as synthesizer:
        server.failure = (code, f"no, not with {KEY}")
        with capture_logs() as events, pytest.raises(ProviderError) as caught:
            await spoken(synthesizer, TEXTS)
    error = caught.value
    assert isinstance(error, ProviderQuotaError) is is_quota
    assert error.transient is is_transient
    assert error.vendor_message == "no, not with [redacted]"
    (event,) = events
    assert (event["event"], event["code"]) == ("vendor reported an error", code)
    assert event["trace_id"] == "trace-1"


def test_wants_a_key() -> None:
    with pytest.raises(ValueError, match="SPEECH_TESTED_API_KEY must be set"):
        minimax_speech.MiniMaxSpeechSettings(setting="SPEECH_TESTED")
