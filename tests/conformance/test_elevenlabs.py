"""What only ElevenLabs' adapter does."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from services.speech.ports.errors import ProviderError, ProviderQuotaError
from services.speech.ports.synthesis import Synthesizer
from services.speech.vendors.elevenlabs import contexts
from services.speech.vendors.elevenlabs_speech import VENDOR, ElevenLabsSpeechSettings
from tests.conformance.asking import TEXTS, pcm_of, speaking, spoken, until
from tests.conformance.script import KEY, Spoken, sound_of, sounds_at
from tests.conformance.servers.elevenlabs_speech import RATE_HERTZ, ContextServer
from tests.conformance.socket_server import Connection
from tests.conformance.subject import PATIENT

TEXT = "".join(TEXTS)


class OtherSpellingServer(ContextServer):
    """Spells members as other versions of the API do, and counts times from each message."""

    spelling = ("context_id", "charsStartTimesMs", "charsDurationsMs")
    counts_anew = True


class SlowServer(ContextServer):
    """Is long in ending cancelled contexts."""

    ends_what_is_cancelled = False


class RefusingServer(ContextServer):
    """Accepts a connection, and refuses on it."""

    def __init__(self, code: str) -> None:
        super().__init__()
        self.code = code

    async def converse(self, connection: Connection[Spoken]) -> None:
        """Say why, and close."""
        await connection.receive()
        await connection.refuse(json.dumps({"error": self.code, "message": f"no, {KEY}"}))
        await connection.close(1008, self.code)


def settings(url: str, **chosen: Any) -> ElevenLabsSpeechSettings:
    """Settings for a server."""
    return ElevenLabsSpeechSettings(
        **{
            "setting": "SPEECH_SYNTHESIZER",
            "base_url": url,
            "api_key": SecretStr(KEY),
            **chosen,
        }
    )


async def cancelled(synthesizer: Synthesizer) -> None:
    """Begin a reply, and close it at its first sound."""

    async def texts() -> AsyncIterator[str]:
        yield TEXTS[0]
        await asyncio.Event().wait()

    chunks = synthesizer.speak(texts(), speaking(synthesizer))
    await anext(chunks)
    await chunks.aclose()  # type: ignore[attr-defined]


async def test_reads_times_in_other_spellings_and_counted_from_each_message() -> None:
    async with (
        OtherSpellingServer.open() as server,
        VENDOR.open(settings(server.url), PATIENT) as synthesizer,
    ):
        chunks = await spoken(synthesizer, TEXTS)
    words = [word for chunk in chunks for word in chunk.words]
    assert [TEXT[word.start : word.end] for word in words] == TEXT.split()
    assert [word.start_s for word in words] == pytest.approx(
        [sounds_at(TEXT, word.start) for word in words], abs=0.003
    )


async def test_speaks_all_replies_of_a_voice_on_one_connection_cancelled_ones_included() -> None:
    async with (
        ContextServer.open() as server,
        VENDOR.open(settings(server.url), PATIENT) as synthesizer,
    ):
        for _ in range(7):
            await cancelled(synthesizer)
            assert pcm_of(await spoken(synthesizer, TEXTS)) == sound_of(TEXT, RATE_HERTZ)
    assert len(server.heads) == 1
    assert [session.is_finished for session in server.sessions] == [False, True] * 7


async def test_opens_a_connection_where_five_contexts_of_another_are_not_over() -> None:
    async with (
        SlowServer.open() as server,
        VENDOR.open(settings(server.url), PATIENT) as synthesizer,
    ):
        for _ in range(10):
            await cancelled(synthesizer)
        assert pcm_of(await spoken(synthesizer, TEXTS)) == sound_of(TEXT, RATE_HERTZ)
    assert len(server.heads) == 3


async def test_closes_a_connection_that_idles_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contexts, "IDLE_S", 0.05)
    async with (
        ContextServer.open() as server,
        VENDOR.open(settings(server.url), PATIENT) as synthesizer,
    ):
        await spoken(synthesizer, TEXTS)
        await until(lambda: server.connection_count == 0)
        assert pcm_of(await spoken(synthesizer, TEXTS)) == sound_of(TEXT, RATE_HERTZ)


@pytest.mark.parametrize(
    ("code", "is_quota", "is_transient"),
    [
        ("quota_exceeded", True, True),
        ("voice_not_found", False, False),
        ("invalid_api_key", False, False),
        ("input_timeout_exceeded", False, True),
    ],
)
async def test_tells_why_a_connection_that_was_accepted_is_refused(
    code: str, is_quota: bool, is_transient: bool
) -> None:
    class Server(RefusingServer):
        def __init__(self) -> None:
            super().__init__(code)

    async with (
        Server.open() as server,
        VENDOR.open(settings(server.url), PATIENT) as synthesizer,
    ):
        with pytest.raises(ProviderError) as caught:
            await spoken(synthesizer, TEXTS)
    assert isinstance(caught.value, ProviderQuotaError) is is_quota
    assert caught.value.transient is is_transient
    assert KEY not in caught.value.vendor_message


async def test_sends_what_is_chosen_of_the_voice_within_its_limits() -> None:
    async with ContextServer.open() as server:
        chosen = settings(server.url, stability=0.4, text_normalization="on")
        async with VENDOR.open(chosen, PATIENT) as synthesizer:
            await spoken(synthesizer, TEXTS, speaking(synthesizer, "zh-CN", speed=3.0))
    (query,) = server.queries
    assert server.sessions[0].speed == 1.2
    assert query["apply_text_normalization"] == ["on"]
    assert query["language_code"] == ["zh"]


def test_wants_a_key() -> None:
    with pytest.raises(ValueError, match="SPEECH_SYNTHESIZER_API_KEY must be set"):
        settings("wss://api.example", api_key=None)
