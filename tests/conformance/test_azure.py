"""Azure's recognizers and voices against servers that follow their protocol."""

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
    SpeechRequest,
    TimedWord,
    Transcript,
    TurnEnd,
    Viseme,
)
from services.speech.streams import Deadlines
from services.speech.vendors import azure_speech, azure_transcription
from services.speech.vendors.azure.locales import locale_of
from tests.conformance.servers import azure_speech as speech_server
from tests.conformance.servers.azure_transcription import (
    END_DETECTED,
    START_DETECTED,
    Step,
    hypothesis,
    open_server,
    phrase,
    status,
)
from tests.conformance.servers.azure_turns import TurnServer, query_of

KEY = "0123456789abcdef0123456789abcdef"
PATIENT = Deadlines(first_s=20, next_s=20, total_s=60)
SHORT = Deadlines(first_s=0.2, next_s=0.2, total_s=60)
ENGLISH = RecognitionRequest(language_codes=("en-US",))
REQUEST = SpeechRequest(voice_id="en-US-AvaMultilingualNeural", language_code="en-US")
PACKET = bytes(azure_transcription.PACKET_BYTES)
END = (END_DETECTED, status("EndOfDictation"))


async def texts_of(*texts: str) -> AsyncIterator[str]:
    """Yield texts."""
    for text in texts:
        yield text


async def sound_of(packets: int) -> AsyncIterator[bytes]:
    """Yield silence."""
    for _ in range(packets):
        yield PACKET


async def endless(packets: int) -> AsyncIterator[bytes]:
    """Yield silence, then nothing more."""
    for _ in range(packets):
        yield PACKET
    await asyncio.Event().wait()


def speaker(server: TurnServer, deadlines: Deadlines = PATIENT) -> Any:
    """A synthesizer for a server."""
    settings = azure_speech.AzureSpeechSettings(
        setting="SPEECH_SYNTHESIZER", base_url=server.url, api_key=SecretStr(KEY)
    )
    return azure_speech.open(settings, deadlines)


def listener(server: TurnServer, deadlines: Deadlines = PATIENT, **settings: Any) -> Any:
    """A recognizer for a server."""
    chosen = azure_transcription.AzureTranscriptionSettings(
        setting="SPEECH_RECOGNIZER", base_url=server.url, api_key=SecretStr(KEY), **settings
    )
    return azure_transcription.open(chosen, deadlines)


async def test_speaks_a_reply_in_one_turn_with_the_times_of_words_and_visemes() -> None:
    async with speech_server.open_server() as server, speaker(server) as synthesizer:
        chunks = [each async for each in synthesizer.speak(texts_of("Hi you.", " Bye!"), REQUEST)]
    pcm = b"".join(chunk.pcm for chunk in chunks)
    assert pcm == b"\x01\x02" * (12 * speech_server.CHARACTER_BYTES // 2)
    assert all(len(chunk.pcm) % 2 == 0 for chunk in chunks)
    words = [word for chunk in chunks for word in chunk.words]
    assert [(word.start, word.end) for word in words] == [(0, 2), (3, 6), (8, 11)]
    starts = [(word.start_s, word.end_s) for word in words]
    assert starts == [pytest.approx(each) for each in ((0, 0.2), (0.3, 0.6), (0.8, 1.1))]
    visemes = [viseme for chunk in chunks for viseme in chunk.visemes]
    assert visemes == [Viseme(viseme_id=19, start_s=0.0), Viseme(viseme_id=19, start_s=0.7)]
    ends = [chunk.text_end for chunk in chunks if chunk.text_end is not None]
    assert ends == [7, 12, 12]
    assert [turn.texts for turn in server.turns] == [["Hi you.", " Bye!"]]


async def test_declares_the_end_of_a_sentence_with_the_last_of_its_sound() -> None:
    async with speech_server.open_server() as server, speaker(server) as synthesizer:
        pcm = 0
        async for chunk in synthesizer.speak(texts_of("Hi you.", " Bye!"), REQUEST):
            pcm += len(chunk.pcm)
            if chunk.text_end == 7:
                assert pcm == 7 * speech_server.CHARACTER_BYTES
                return
    pytest.fail("no end")


async def test_asks_for_voice_language_speed_and_style_in_each_turn() -> None:
    request = SpeechRequest(
        voice_id="zh-CN-XiaoxiaoNeural", language_code="zh", speed=1.25, style="cheerful"
    )
    async with speech_server.open_server() as server, speaker(server) as synthesizer:
        for each in (request, REQUEST):
            _ = [chunk async for chunk in synthesizer.speak(texts_of("Hi."), each)]
    first, second = (turn.context["synthesis"] for turn in server.turns)
    assert first["input"] == {
        "bidirectionalStreamingMode": True,
        "voiceName": "zh-CN-XiaoxiaoNeural",
        "language": "zh-CN",
        "rate": "1.25",
        "style": "cheerful",
    }
    assert first["audio"]["outputFormat"] == "raw-24khz-16bit-mono-pcm"
    assert set(second["input"]) == {"bidirectionalStreamingMode", "voiceName", "language"}
    assert len(server.headers) == 1
    assert server.headers[0]["Ocp-Apim-Subscription-Key"] == KEY


async def test_sends_each_text_when_it_comes() -> None:
    heard = asyncio.Event()

    async def texts() -> AsyncIterator[str]:
        yield "One."
        await heard.wait()
        yield "Two."

    async with speech_server.open_server() as server, speaker(server) as synthesizer:
        async for chunk in synthesizer.speak(texts(), REQUEST):
            if chunk.text_end == 4:
                assert server.turns[0].texts == ["One."]
                heard.set()
    assert server.turns[0].texts == ["One.", "Two."]


async def test_opens_another_connection_once_the_vendor_has_closed_the_idle_one() -> None:
    async with speech_server.open_server() as server, speaker(server) as synthesizer:
        _ = [each async for each in synthesizer.speak(texts_of("Hi."), REQUEST)]
        await server.close_idle()
        await server.until("closed")
        chunks = [each async for each in synthesizer.speak(texts_of("Hi."), REQUEST)]
    assert any(chunk.pcm for chunk in chunks)


async def test_cancels_speech_by_closing_the_connection() -> None:
    async def texts() -> AsyncIterator[str]:
        yield "One."
        await asyncio.Event().wait()

    async with speech_server.open_server() as server, speaker(server) as synthesizer:
        chunks = synthesizer.speak(texts(), REQUEST)
        await anext(chunks)
        await chunks.aclose()
        await server.until("closed")
        assert not server.turns[0].is_input_finished
        assert [each async for each in synthesizer.speak(texts_of("Hi."), REQUEST)]


async def test_transcribes_phrase_by_phrase_and_says_when_the_turn_seems_over() -> None:
    steps = (
        (START_DETECTED, hypothesis("hi")),
        (hypothesis("hi there"),),
        (phrase("Hi there."),),
        (hypothesis("who"),),
    )
    ending = (phrase("Who are you?", 5_000_000), *END)
    heard: list[Transcript] = []
    more = asyncio.Semaphore(0)

    async def sound() -> AsyncIterator[bytes]:
        for _ in steps:
            yield PACKET
            await more.acquire()

    async with (
        open_server(steps, ending) as server,
        listener(server, turn_silence_ms=5000) as recognizer,
    ):
        assert recognizer.is_streaming
        assert recognizer.detects_turn_ends
        async for transcript in recognizer.transcribe(sound(), ENGLISH):
            heard.append(transcript)
            more.release()
    assert [(each.text, each.turn_end) for each in heard] == [
        ("hi", None),
        ("hi there", None),
        ("Hi there.", TurnEnd.LIKELY),
        ("Hi there. who", TurnEnd.RESUMED),
        ("Hi there. Who are you?", None),
        ("Hi there. Who are you?", None),
    ]
    assert [each.is_final for each in heard] == [False] * 5 + [True]
    assert heard[-1].words[2] == TimedWord(text="who", start_s=0.5, end_s=0.6)
    received = server.turns[0].sound
    assert (received[:4], len(received)) == (b"RIFF", 44 + 4 * len(PACKET))


@pytest.mark.parametrize(
    "last", [(phrase("Bye."), END_DETECTED), (END_DETECTED, phrase("Bye."))], ids=["last", "first"]
)
async def test_ends_the_turn_when_azure_detects_the_end_of_speech(last: tuple[Step, ...]) -> None:
    steps = ((hypothesis("bye"),), last)
    async with (
        open_server(steps) as server,
        listener(server, turn_silence_ms=5000) as recognizer,
    ):
        transcripts = recognizer.transcribe(endless(2), ENGLISH)
        heard = [each async for each in transcripts]
        await server.until("closed")
    assert heard[-1] == Transcript(
        text="Bye.",
        is_final=True,
        words=(TimedWord(text="bye", start_s=0.0, end_s=0.1),),
        turn_end=TurnEnd.CERTAIN,
    )
    assert not server.turns[0].is_input_finished


async def test_ends_the_turn_when_nothing_follows_a_phrase() -> None:
    steps = ((hypothesis("bye"), phrase("Bye.")),)
    async with open_server(steps) as server, listener(server, turn_silence_ms=50) as recognizer:
        heard = [each async for each in recognizer.transcribe(endless(1), ENGLISH)]
    ends = [(each.is_final, each.turn_end) for each in heard]
    assert ends == [(False, None), (False, TurnEnd.LIKELY), (True, TurnEnd.CERTAIN)]


async def test_waits_for_the_last_phrase_of_sound_that_has_ended() -> None:
    ending = (hypothesis("bye"), END_DETECTED, phrase("Bye."), status("EndOfDictation"))
    async with open_server((), ending) as server, listener(server) as recognizer:
        for _ in range(2):
            heard = [each async for each in recognizer.transcribe(sound_of(1), ENGLISH)]
            assert (heard[-1].text, heard[-1].turn_end) == ("Bye.", None)
    assert len(server.headers) == 1


async def test_yields_an_empty_final_transcript_for_no_speech() -> None:
    ending = (status("InitialSilenceTimeout"), *END)
    async with open_server((), ending) as server, listener(server) as recognizer:
        heard = [each async for each in recognizer.transcribe(sound_of(1), ENGLISH)]
    assert heard == [Transcript(text="", is_final=True)]


async def test_detects_one_of_several_languages_and_sends_hot_words_each_time() -> None:
    request = RecognitionRequest(
        language_codes=("zh-CN", "en", "en-GB"), hot_words=("Parley", "Kokoro")
    )
    ending = (phrase("你好。", language="zh-CN"), *END)
    async with open_server((), ending) as server, listener(server) as recognizer:
        for each in (request, request, ENGLISH):
            heard = [each async for each in recognizer.transcribe(sound_of(1), each)]
            assert heard[-1].language_code == "zh-CN"
    first, second, third = server.turns
    assert first.context == second.context
    assert first.url.startswith("/speech/universal/v2?")
    assert "language" not in query_of(first)
    assert first.context["languageId"]["languages"] == ["zh-CN", "en-US"]
    assert first.context["dgi"] == {
        "groups": [{"type": "Generic", "items": [{"text": "Parley"}, {"text": "Kokoro"}]}]
    }
    assert third.url.startswith("/speech/recognition/conversation/cognitiveservices/v1?")
    assert query_of(third)["language"] == ["en-US"]
    assert not {"languageId", "dgi"} & third.context.keys()


@pytest.mark.parametrize(
    ("name", "is_quota", "is_transient"),
    [
        ("TooManyRequests", True, True),
        ("Forbidden", False, False),
        ("ServiceUnavailable", False, True),
    ],
)
async def test_tells_why_a_phrase_failed(name: str, is_quota: bool, is_transient: bool) -> None:
    async with open_server(((status(name),),)) as server, listener(server) as recognizer:
        with pytest.raises(ProviderError) as caught:
            _ = [each async for each in recognizer.transcribe(endless(1), ENGLISH)]
    assert isinstance(caught.value, ProviderQuotaError) is is_quota
    assert caught.value.transient is is_transient


@pytest.mark.parametrize(
    ("refusal", "is_quota", "is_transient"),
    [
        (HTTPStatus.UNAUTHORIZED, False, False),
        (HTTPStatus.TOO_MANY_REQUESTS, True, True),
        (HTTPStatus.BAD_GATEWAY, False, True),
    ],
)
async def test_tells_why_a_connection_is_refused(
    refusal: HTTPStatus, is_quota: bool, is_transient: bool
) -> None:
    async with speech_server.open_server() as server, speaker(server) as synthesizer:
        server.faults.status = refusal
        with pytest.raises(ProviderError) as caught:
            await anext(synthesizer.speak(texts_of("Hi."), REQUEST))
    assert isinstance(caught.value, ProviderQuotaError) is is_quota
    assert caught.value.transient is is_transient


@pytest.mark.parametrize(
    ("code", "is_quota", "is_transient"),
    [(1000, False, True), (1011, False, True), (1007, False, False), (4429, True, True)],
)
async def test_tells_why_a_connection_is_closed(
    code: int, is_quota: bool, is_transient: bool
) -> None:
    async with speech_server.open_server() as server, speaker(server) as synthesizer:
        server.faults.close = (code, f"no more of {KEY}")
        with pytest.raises(ProviderError) as caught:
            _ = [each async for each in synthesizer.speak(texts_of("Hi.", "You."), REQUEST)]
    assert isinstance(caught.value, ProviderQuotaError) is is_quota
    assert caught.value.transient is is_transient
    assert caught.value.vendor_message == "no more of [redacted]"


@pytest.mark.parametrize("answer", ["{", b"\xff", b"\x00\x05ab"])
async def test_calls_garbage_malformed(answer: str | bytes) -> None:
    async with speech_server.open_server() as server, speaker(server) as synthesizer:
        server.faults.answer = answer
        with pytest.raises(ProviderError, match="malformed") as caught:
            _ = [each async for each in synthesizer.speak(texts_of("Hi."), REQUEST)]
    assert caught.value.transient


@pytest.mark.parametrize(
    "document", [{"RecognitionStatus": "Success", "NBest": []}, {"RecognitionStatus": "Success"}]
)
async def test_calls_a_phrase_of_another_shape_malformed(document: dict[str, Any]) -> None:
    steps = ((("speech.phrase", document),),)
    async with open_server(steps) as server, listener(server) as recognizer:
        with pytest.raises(ProviderError, match="malformed"):
            _ = [each async for each in recognizer.transcribe(endless(1), ENGLISH)]


async def test_ignores_what_it_does_not_know_and_what_belongs_to_another_turn() -> None:
    other = json.dumps({"RecognitionStatus": "Forbidden"})
    applause: Step = ("speech.applause", {})
    steps = ((applause, hypothesis("hi")),)
    async with open_server(steps, (phrase("Hi."), *END)) as server:
        server.faults.answer = f"X-RequestId: other\r\nPath: speech.phrase\r\n\r\n{other}"
        async with listener(server) as recognizer:
            heard = [each async for each in recognizer.transcribe(sound_of(1), ENGLISH)]
    assert heard[-1].text == "Hi."


async def test_calls_a_silent_server_late() -> None:
    async with open_server(()) as server:
        server.faults.is_silent = True
        async with listener(server, SHORT) as recognizer:
            with pytest.raises(ProviderError, match="late") as caught:
                _ = [each async for each in recognizer.transcribe(sound_of(1), ENGLISH)]
    assert caught.value.transient


async def test_names_a_custom_model() -> None:
    async with open_server((), END) as server, listener(server, model="my-model") as recognizer:
        _ = [each async for each in recognizer.transcribe(sound_of(1), ENGLISH)]
    assert query_of(server.turns[0])["cid"] == ["my-model"]


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("westeurope", "wss://westeurope.stt.speech.microsoft.com"),
        ("chinaeast2", "wss://chinaeast2.stt.speech.azure.cn"),
    ],
)
def test_finds_the_address_of_a_region(region: str, url: str) -> None:
    settings = azure_transcription.AzureTranscriptionSettings(
        setting="SPEECH_RECOGNIZER", region=region, api_key=SecretStr(KEY)
    )
    assert settings.base_url == url


@pytest.mark.parametrize(
    ("code", "locale"),
    [
        ("en", "en-US"),
        ("de", "de-DE"),
        ("zh-Hans", "zh-CN"),
        ("zh-TW", "zh-TW"),
        ("EN-gb", "en-GB"),
    ],
)
def test_names_the_usual_region_of_a_language(code: str, locale: str) -> None:
    assert locale_of(code) == locale


def test_wants_a_key() -> None:
    with pytest.raises(ValueError, match="SPEECH_SYNTHESIZER_API_KEY must be set"):
        azure_speech.AzureSpeechSettings(setting="SPEECH_SYNTHESIZER")
