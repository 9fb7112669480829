"""What only Azure's adapters do: phrases and ends of turns, and addresses."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from services.speech.ports.errors import ProviderError, ProviderQuotaError
from services.speech.ports.recognition import RecognitionRequest, Recognizer, Transcript, TurnEnd
from services.speech.ports.synthesis import SpeechRequest
from services.speech.vendors.azure_speech import VENDOR as SPEECH
from services.speech.vendors.azure_transcription import PACKET_BYTES
from services.speech.vendors.azure_transcription import VENDOR as TRANSCRIPTION
from services.speech.vendors.locales import locale_of
from tests.conformance.script import CHARACTER_S, KEY, WORD_S, Trouble, sound_of
from tests.conformance.servers.azure_speech import SpeechServer
from tests.conformance.servers.azure_transcription import (
    END,
    END_DETECTED,
    START_DETECTED,
    Step,
    TranscriptionServer,
    hypothesis,
    phrase,
    status,
)
from tests.conformance.subject import Subject

SPEAKER = Subject(name="speech", vendor=SPEECH, server=SpeechServer.open)
ENGLISH = RecognitionRequest(language_codes=("en-US",))
REQUEST = SpeechRequest(voice_id="en-US-AvaMultilingualNeural", language_code="en-US")
PACKET = bytes(PACKET_BYTES)


async def texts_of(*texts: str) -> AsyncIterator[str]:
    """Yield texts."""
    for text in texts:
        yield text


async def sound_of_packets(count: int) -> AsyncIterator[bytes]:
    """Yield silence."""
    for _ in range(count):
        yield PACKET


async def endless(packets: int) -> AsyncIterator[bytes]:
    """Yield silence, then nothing more."""
    for _ in range(packets):
        yield PACKET
    await asyncio.Event().wait()


@asynccontextmanager
async def hearing(
    steps: Sequence[Sequence[Step]] = (), ending: Sequence[Step] = END, **options: Any
) -> AsyncIterator[tuple[Recognizer, TranscriptionServer]]:
    """A recognizer, and a server that says these messages."""
    subject = Subject(
        name="transcription",
        vendor=TRANSCRIPTION,
        server=TranscriptionServer.open,
        options={"turn_silence_ms": 60_000, **options},
    )
    async with TranscriptionServer.open() as server, subject.open(server) as recognizer:
        server.steps, server.ending = steps, ending
        yield recognizer, server


async def test_times_words_and_ends_each_sentence_with_the_last_of_its_sound() -> None:
    async with SpeechServer.open() as server, SPEAKER.open(server) as synthesizer:
        chunks = [each async for each in synthesizer.speak(texts_of("Hi you.", " Bye!"), REQUEST)]
    assert b"".join(chunk.pcm for chunk in chunks) == sound_of("Hi you. Bye!", 24_000)
    words = [word for chunk in chunks for word in chunk.words]
    assert [(word.start, word.end) for word in words] == [(0, 2), (3, 7), (8, 12)]
    assert [word.start_s for word in words] == pytest.approx([0, 2 * CHARACTER_S, 6 * CHARACTER_S])
    ends, pcm = [], b""
    for chunk in chunks:
        pcm += chunk.pcm
        if chunk.text_end is not None:
            ends.append((chunk.text_end, pcm))
    first = sound_of("Hi you.", 24_000)
    assert ends[0] == (7, first)
    assert [end for end, _ in ends] == [7, 12, 12]


async def test_asks_for_voice_language_speed_and_style_in_each_turn() -> None:
    cheerful = SpeechRequest(
        voice_id="zh-CN-XiaoxiaoNeural", language_code="zh", speed=1.25, style="cheerful"
    )
    async with SpeechServer.open() as server, SPEAKER.open(server) as synthesizer:
        for request in (cheerful, REQUEST):
            _ = [each async for each in synthesizer.speak(texts_of("Hi."), request)]
    first, second = (context["synthesis"] for context in server.contexts)
    assert first["input"] == {
        "bidirectionalStreamingMode": True,
        "voiceName": "zh-CN-XiaoxiaoNeural",
        "language": "zh-CN",
        "rate": "1.25",
        "style": "cheerful",
    }
    assert first["audio"]["outputFormat"] == "raw-24khz-16bit-mono-pcm"
    assert set(second["input"]) == {"bidirectionalStreamingMode", "voiceName", "language"}
    assert [head["ocp-apim-subscription-key"] for head in server.heads] == [KEY]
    assert server.addresses[0][0] == "/cognitiveservices/websocket/v2"


async def test_says_when_the_turn_seems_over_and_that_it_goes_on() -> None:
    steps = (
        (START_DETECTED, hypothesis("hi")),
        (hypothesis("hi there"),),
        (phrase("Hi there."),),
        (hypothesis("who"),),
    )
    heard: list[Transcript] = []
    more = asyncio.Semaphore(0)

    async def sound() -> AsyncIterator[bytes]:
        for _ in steps:
            yield PACKET
            await more.acquire()

    ending = (phrase("Who are you?", 2 * WORD_S), *END)
    async with hearing(steps, ending) as (recognizer, _):
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
    who = heard[-1].words[2]
    assert (who.text, who.start_s) == ("who", 2 * WORD_S)
    assert who.end_s == pytest.approx(3 * WORD_S)


@pytest.mark.parametrize(
    "last", [(phrase("Bye."), END_DETECTED), (END_DETECTED, phrase("Bye."))], ids=["last", "first"]
)
async def test_ends_the_turn_when_azure_detects_the_end_of_speech(last: tuple[Step, ...]) -> None:
    async with hearing(((hypothesis("bye"),), last)) as (recognizer, server):
        heard = [each async for each in recognizer.transcribe(endless(2), ENGLISH)]
    assert (heard[-1].text, heard[-1].is_final) == ("Bye.", True)
    assert heard[-1].turn_end is TurnEnd.CERTAIN
    assert not server.sessions[0].is_finished


async def test_ends_the_turn_when_nothing_follows_a_phrase() -> None:
    steps = ((hypothesis("bye"), phrase("Bye.")),)
    async with hearing(steps, turn_silence_ms=50) as (recognizer, _):
        heard = [each async for each in recognizer.transcribe(endless(1), ENGLISH)]
    ends = [(each.is_final, each.turn_end) for each in heard]
    assert ends == [(False, None), (False, TurnEnd.LIKELY), (True, TurnEnd.CERTAIN)]


async def test_leaves_ends_of_turns_to_the_service_if_so_set() -> None:
    steps = ((hypothesis("bye"), phrase("Bye."), END_DETECTED, hypothesis("and")),)
    goes_on = asyncio.Event()
    heard: list[Transcript] = []

    async def sound() -> AsyncIterator[bytes]:
        yield PACKET
        await goes_on.wait()

    ending = (phrase("And bye."), *END)
    async with hearing(steps, ending, ends_turns=False) as (recognizer, _):
        assert not recognizer.detects_turn_ends
        async for transcript in recognizer.transcribe(sound(), ENGLISH):
            heard.append(transcript)
            if transcript.text == "Bye. and":
                goes_on.set()
    assert heard[-1].text == "Bye. And bye."
    assert [each.turn_end for each in heard] == [None] * len(heard)


async def test_waits_for_the_last_phrase_of_sound_that_has_ended() -> None:
    ending = (hypothesis("bye"), END_DETECTED, phrase("Bye."), status("EndOfDictation"))
    async with hearing((), ending) as (recognizer, server):
        for _ in range(2):
            sound = sound_of_packets(1)
            heard = [each async for each in recognizer.transcribe(sound, ENGLISH)]
            assert (heard[-1].text, heard[-1].turn_end) == ("Bye.", None)
    assert len(server.heads) == 1


async def test_hears_what_was_said_after_a_likely_end_and_before_the_end_of_the_sound() -> None:
    seems_over = asyncio.Event()

    async def sound() -> AsyncIterator[bytes]:
        yield PACKET
        await seems_over.wait()
        yield PACKET

    ending = (END_DETECTED, phrase("You."), status("EndOfDictation"))
    async with hearing(((phrase("Hi."),),), ending) as (recognizer, _):
        heard: list[Transcript] = []
        async for transcript in recognizer.transcribe(sound(), ENGLISH):
            heard.append(transcript)
            seems_over.set()
    assert heard[0].turn_end is TurnEnd.LIKELY
    assert (heard[-1].text, heard[-1].turn_end) == ("Hi. You.", None)


async def test_yields_an_empty_final_transcript_for_no_speech() -> None:
    async with hearing((), (status("InitialSilenceTimeout"), *END)) as (recognizer, _):
        heard = [each async for each in recognizer.transcribe(sound_of_packets(1), ENGLISH)]
    assert heard == [Transcript(text="", is_final=True)]


async def test_detects_one_of_several_languages() -> None:
    several = RecognitionRequest(language_codes=("zh-CN", "en", "en-GB"), hot_words=("Parley",))
    async with hearing((), (phrase("你好。", language="zh-CN"), *END)) as (recognizer, server):
        for request in (several, ENGLISH):
            sound = sound_of_packets(1)
            heard = [each async for each in recognizer.transcribe(sound, request)]
            assert heard[-1].language_code == "zh-CN"
    first, second = server.contexts
    assert first["languageId"]["languages"] == ["zh-CN", "en-US"]
    assert first["dgi"] == {"groups": [{"type": "Generic", "items": [{"text": "Parley"}]}]}
    assert not {"languageId", "dgi"} & second.keys()
    (path, query), (second_path, second_query) = server.addresses
    assert path == "/speech/universal/v2"
    assert "language" not in query
    assert second_path == "/speech/recognition/conversation/cognitiveservices/v1"
    assert second_query["language"] == ["en-US"]


async def test_names_a_custom_model() -> None:
    async with hearing(model="my-model") as (recognizer, server):
        _ = [each async for each in recognizer.transcribe(sound_of_packets(1), ENGLISH)]
    assert server.addresses[0][1]["cid"] == ["my-model"]


@pytest.mark.parametrize(
    ("name", "is_quota", "is_transient"),
    [
        ("TooManyRequests", True, True),
        ("Forbidden", False, False),
        ("ServiceUnavailable", False, True),
    ],
)
async def test_tells_why_a_phrase_failed(name: str, is_quota: bool, is_transient: bool) -> None:
    async with hearing(((status(name),),)) as (recognizer, _):
        with pytest.raises(ProviderError) as caught:
            _ = [each async for each in recognizer.transcribe(endless(1), ENGLISH)]
    assert isinstance(caught.value, ProviderQuotaError) is is_quota
    assert caught.value.transient is is_transient


@pytest.mark.parametrize(
    ("code", "is_quota", "is_transient"), [(1007, False, False), (4429, True, True)]
)
async def test_tells_why_a_connection_is_closed(
    code: int, is_quota: bool, is_transient: bool
) -> None:
    async with SpeechServer.open() as server, SPEAKER.open(server) as synthesizer:
        server.close_with = (code, f"no more of {KEY}")
        with pytest.raises(ProviderError) as caught:
            _ = [each async for each in synthesizer.speak(texts_of("Hi."), REQUEST)]
    assert isinstance(caught.value, ProviderQuotaError) is is_quota
    assert caught.value.transient is is_transient
    assert caught.value.vendor_message == "no more of [redacted]"


@pytest.mark.parametrize("garbage", ["{", b"\xff", b"\x00\x05ab", "[" * 3_000])
async def test_calls_a_message_without_headers_malformed(garbage: str | bytes) -> None:
    async with SpeechServer.open() as server, SPEAKER.open(server) as synthesizer:
        server.trouble = Trouble.GARBAGE
        server.garbage = garbage  # type: ignore[assignment,misc]
        with pytest.raises(ProviderError, match="malformed"):
            _ = [each async for each in synthesizer.speak(texts_of("Hi."), REQUEST)]


@pytest.mark.parametrize(
    "document", [{"RecognitionStatus": "Success", "NBest": []}, {"RecognitionStatus": "Success"}]
)
async def test_calls_a_phrase_of_another_shape_malformed(document: dict[str, Any]) -> None:
    async with hearing(((("speech.phrase", document),),)) as (recognizer, _):
        with pytest.raises(ProviderError, match="malformed"):
            _ = [each async for each in recognizer.transcribe(endless(1), ENGLISH)]


async def test_ignores_paths_that_it_does_not_know() -> None:
    applause: Step = ("speech.applause", {})
    async with hearing(((applause, hypothesis("hi")),), (phrase("Hi."), *END)) as (recognizer, _):
        heard = [each async for each in recognizer.transcribe(sound_of_packets(1), ENGLISH)]
    assert heard[-1].text == "Hi."


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("westeurope", "wss://westeurope.stt.speech.microsoft.com"),
        ("chinaeast2", "wss://chinaeast2.stt.speech.azure.cn"),
    ],
)
def test_finds_the_address_of_a_region(region: str, url: str) -> None:
    settings = TRANSCRIPTION.settings(
        setting="SPEECH_RECOGNIZER", region=region, api_key=SecretStr(KEY)
    )
    assert settings.base_url == url


@pytest.mark.parametrize(
    ("code", "locale"),
    [("en", "en-US"), ("de", "de-DE"), ("zh-Hans", "zh-CN"), ("zh-TW", "zh-TW")],
)
def test_names_the_usual_region_of_a_language(code: str, locale: str) -> None:
    assert locale_of(code) == locale


def test_wants_a_key() -> None:
    with pytest.raises(ValueError, match="SPEECH_SYNTHESIZER_API_KEY must be set"):
        SPEECH.settings(setting="SPEECH_SYNTHESIZER")
