"""What only Riva's adapters do: what each call names, ends of turns, and texts without ids."""

import asyncio

import pytest
from pydantic import SecretStr, ValidationError

from riva.proto.riva_tts_pb2 import SynthesizeSpeechResponse
from services.speech.ports.recognition import RecognitionRequest
from services.speech.vendors.riva_speech import SAMPLE_RATE_HERTZ
from services.speech.vendors.riva_speech import VENDOR as SPEECH
from services.speech.vendors.riva_transcription import VENDOR as TRANSCRIPTION
from tests.conformance.asking import TEXTS, heard, hearing, pcm_of, sound, spoken
from tests.conformance.grpc_server import ServedCall
from tests.conformance.script import KEY, Spoken, Utterance, sound_of
from tests.conformance.servers.riva_speech import SpeechServer
from tests.conformance.servers.riva_transcription import TranscriptionServer
from tests.conformance.subject import Subject

SPEAKER = Subject(name="speech", vendor=SPEECH, server=SpeechServer.open)
LISTENER = Subject(name="transcription", vendor=TRANSCRIPTION, server=TranscriptionServer.open)


class IdlessServer(SpeechServer):
    """A server that repeats no ids."""

    async def converse(self, call: ServedCall[Spoken]) -> None:
        """Speak each text when it comes."""
        async for request in call:
            pcm = sound_of(request.text, SAMPLE_RATE_HERTZ)
            await call.answer(SynthesizeSpeechResponse(audio=pcm))


def listening(**options: object) -> Subject:
    """A recognizer with options."""
    return Subject(
        name="listening", vendor=TRANSCRIPTION, server=TranscriptionServer.open, options=options
    )


async def test_each_call_names_key_and_function() -> None:
    subject = listening(function_id="f-1")
    async with subject.recognizer() as (recognizer, server):
        await heard(recognizer, hearing())
    assert server.heads[0]["authorization"] == f"Bearer {KEY}"
    assert server.heads[0]["function-id"] == "f-1"


@pytest.mark.parametrize(
    ("codes", "named"),
    [(("en",), "en-US"), (("zh-Hans-CN",), "zh-CN"), (("zh-CN", "en-US"), "multi")],
)
async def test_names_a_region_or_asks_to_detect(codes: tuple[str, ...], named: str) -> None:
    async with TranscriptionServer.open() as server, LISTENER.open(server) as recognizer:
        await heard(recognizer, RecognitionRequest(language_codes=codes))
    assert server.configs[0].language_code == named


async def test_names_model_boost_and_silences() -> None:
    subject = listening(
        model="parakeet", hot_word_boost=40.0, likely_silence_ms=200, turn_silence_ms=600
    )
    async with TranscriptionServer.open() as server, subject.open(server) as recognizer:
        await heard(recognizer, hearing("en-US", "Parley"))
    config = server.configs[0]
    assert config.model == "parakeet"
    assert [each.boost for each in config.speech_contexts] == [40.0]
    assert config.endpointing_config.stop_history_eou == 200
    assert config.endpointing_config.stop_history == 600


async def test_leaves_the_ends_of_turns_to_the_service() -> None:
    ended = asyncio.Event()
    ends = []
    subject = listening(ends_turns=False)
    async with TranscriptionServer.open() as server, subject.open(server) as recognizer:
        server.utterance = Utterance(ends_itself=True)
        assert not recognizer.detects_turn_ends
        async for transcript in recognizer.transcribe(sound(then=ended), hearing()):
            ends.append((transcript.turn_end, transcript.is_final))
            if transcript.text == server.utterance.final:
                ended.set()
        assert not server.configs[0].HasField("endpointing_config")
    assert ends[-2:] == [(None, False), (None, True)]


async def test_words_are_timed_from_the_beginning_of_a_call_if_so_set() -> None:
    subject = Subject(
        name="call",
        vendor=SPEECH,
        server=SpeechServer.open,
        options={"word_times_from": "call"},
    )
    async with subject.synthesizer() as (synthesizer, _):
        chunks = await spoken(synthesizer, TEXTS)
    starts = [word.start_s for chunk in chunks for word in chunk.words]
    assert starts.count(0.0) == len(TEXTS)


async def test_knows_no_borders_without_ids() -> None:
    subject = Subject(name="idless", vendor=SPEECH, server=IdlessServer.open)
    async with subject.synthesizer() as (synthesizer, _):
        chunks = await spoken(synthesizer, TEXTS)
    assert pcm_of(chunks) == sound_of("".join(TEXTS), SAMPLE_RATE_HERTZ)
    assert [each.text_end for each in chunks if each.text_end] == [len("".join(TEXTS))]


@pytest.mark.parametrize("missing", ["api_key", "function_id"])
def test_the_cloud_wants_a_key_and_a_function(missing: str) -> None:
    given = {"api_key": SecretStr(KEY), "function_id": "f-1"}
    TRANSCRIPTION.settings(setting="SPEECH_RECOGNIZER", **given)
    del given[missing]
    with pytest.raises(ValidationError, match=missing.upper()):
        TRANSCRIPTION.settings(setting="SPEECH_RECOGNIZER", **given)


def test_an_address_has_no_path() -> None:
    with pytest.raises(ValidationError, match="host:port"):
        SPEECH.settings(setting="SPEECH_SYNTHESIZER", base_url="http://riva:50051/v1")


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://riva:50051", "riva:50051"),
        ("https://riva.example.com", "riva.example.com:443"),
        ("http://[::1]:50051", "[::1]:50051"),
    ],
)
def test_target(url: str, target: str) -> None:
    settings = SPEECH.settings(setting="SPEECH_SYNTHESIZER", base_url=url)
    assert settings.target == target
    assert settings.has_tls == url.startswith("https")
