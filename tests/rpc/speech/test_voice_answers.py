"""Any audio that a voice answers with is played as it is meant; anything else is a failure."""

import asyncio
import base64
import json
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.runtime.pcm import duration_s
from services.speech.ports.errors import ProviderError
from services.speech.ports.stages import Stage
from services.speech.ports.synthesis import SpeechRequest
from services.speech.providers.failover.relay import FailoverRules
from services.speech.providers.failover.synthesizer import FailoverSynthesizer
from services.speech.streams import Deadlines, closing, once
from services.speech.vendors.http.client import Endpoint
from services.speech.vendors.openai_speech import SAMPLE_RATE_HERTZ, OpenAiSynthesizer
from services.speech.vendors.sound.decoding import Decoder
from tests.support.scripted_providers import ScriptedSynthesizer
from tests.support.vendor import Answer, Behaviour, scripted_vendor
from tests.support.vendor_answers import (
    ScriptedBody,
    chunk,
    encoded,
    fmt,
    in_pieces,
    loudest_hertz,
    tone,
    wav,
    wav_file,
)

ENDPOINT = Endpoint(
    name="vendor",
    base_url="http://vendor.invalid/v1",
    api_key=None,
    model="some-model",
    deadlines=Deadlines(first_s=30, next_s=30, total_s=60),
)
OCTETS = "application/octet-stream"
PCM = tone().astype("<i2").tobytes()
MP3 = encoded("mp3", "libmp3lame")
FMT = fmt()


@asynccontextmanager
async def scripted_voice(pieces: Sequence[bytes], kind: str) -> AsyncIterator[OpenAiSynthesizer]:
    """A voice behind a transport that answers each request with these pieces."""

    def behave(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": kind}, stream=ScriptedBody(pieces))

    async with (
        httpx.AsyncClient(
            base_url=ENDPOINT.base_url, transport=httpx.MockTransport(behave)
        ) as client,
        Decoder.open(rate_hertz=SAMPLE_RATE_HERTZ) as decoder,
    ):
        yield OpenAiSynthesizer(client, ENDPOINT, decoder, voice_ids=["coral"])


async def speak(pieces: Sequence[bytes], kind: str = OCTETS) -> bytes:
    """Return what is heard."""
    async with scripted_voice(pieces, kind) as voice:
        chunks = voice.speak(once("Hello"), SpeechRequest(voice_id="coral", language_code="en"))
        return b"".join([chunk.pcm async for chunk in chunks])


def of(samples: object, kind: str) -> bytes:
    return np.asarray(samples).astype(kind).tobytes()


FLOATS = tone() / 32_768
EXTENSIBLE = chunk(
    b"fmt ", fmt(0xFFFE)[8:] + struct.pack("<HHI", 22, 16, 4) + b"\x01\0" + bytes(14)
)

EXACT: dict[str, bytes] = {
    "samples": PCM,
    "WAV": wav_file(PCM),
    "WAV of open length": wav_file(PCM, length=0xFFFFFFFF),
    "WAV of no length": wav_file(PCM, length=0),
    "WAV of too great a length": wav_file(PCM, length=len(PCM) + 44),
    "WAV with other chunks": wav_file(
        PCM, FMT, chunk(b"LIST", b"INFO" + bytes(201)), chunk(b"id3 ", b"x")
    ),
    "WAV with chunks behind": wav(
        FMT, chunk(b"data", PCM), chunk(b"LIST", b"INFO" + b"\x7f" * 200)
    ),
    "WAV, extensible": wav_file(PCM, EXTENSIBLE),
    "WAV of 64 bits": wav(
        chunk(b"ds64", bytes(28)), FMT, chunk(b"data", PCM, 0xFFFFFFFF), magic=b"RF64"
    ),
    "WAV by the sentence": wav_file(PCM[:9_600]) + wav_file(PCM[9_600:]),
    "WAV of 24 bits": wav_file(
        b"".join((each << 8).to_bytes(3, "little", signed=True) for each in tone().tolist()),
        fmt(bits=24),
    ),
    "WAV of 32 bits": wav_file(of(tone().astype("<i4") << 16, "<i4"), fmt(bits=32)),
    "WAV of floats": wav_file(of(FLOATS, "<f4"), fmt(3, bits=32)),
    "WAV of long floats": wav_file(of(FLOATS, "<f8"), fmt(3, bits=64)),
    "WAV in stereo": wav_file(of(np.repeat(tone(), 2), "<i2"), fmt(channels=2)),
    "FLAC": encoded("flac", "flac"),
    "AIFF": encoded("aiff", "pcm_s16be"),
    "AU": encoded("au", "pcm_s16be"),
}
"""Answers that hold the tone's samples unchanged."""

ALIKE: dict[str, bytes] = {
    "WAV of 8 bits": wav_file(of((tone() >> 8) + 128, "u1"), fmt(bits=8)),
    "WAV at 8 kHz": wav_file(of(tone(8_000), "<i2"), fmt(rate_hertz=8_000)),
    "WAV at 16 kHz": wav_file(of(tone(16_000), "<i2"), fmt(rate_hertz=16_000)),
    "WAV at 22 kHz": wav_file(of(tone(22_050), "<i2"), fmt(rate_hertz=22_050)),
    "WAV at 48 kHz in stereo": wav_file(
        of(np.repeat(tone(48_000), 2), "<i2"), fmt(channels=2, rate_hertz=48_000)
    ),
    "WAV of A-law": encoded("wav", "pcm_alaw", 8_000),
    "WAV of mu-law": encoded("wav", "pcm_mulaw", 8_000),
    "MP3": MP3,
    "MP3 without a tag": MP3[MP3.index(b"\xff\xf3") :],
    "MP3 at 44 kHz in stereo": encoded("mp3", "libmp3lame", 44_100, "stereo"),
    "MP3 cut within a frame": MP3[:-50],
    "MP2": encoded("mp2", "mp2", 48_000),
    "Opus in Ogg": encoded("ogg", "libopus", 48_000),
    "WebM": encoded("webm", "libopus", 48_000),
    "FLAC at 44 kHz": encoded("flac", "flac", 44_100),
    "AAC": encoded("adts", "aac"),
}
"""Answers in which the tone is heard, though not in the same samples."""

DECLARED: dict[str, tuple[bytes, str]] = {
    "big-endian": (of(tone(16_000), ">i2"), "audio/L16;rate=16000"),
    "big-endian at the API's rate": (of(tone(), ">i2"), "audio/l16"),
    "said to be big-endian": (PCM, "audio/L16;codec=pcm;rate=24000"),
    "another rate": (of(tone(16_000), "<i2"), "audio/pcm; rate=16000"),
    "an application's": (PCM, "application/x-pcm"),
    "two channels": (of(np.repeat(tone(), 2), "<i2"), 'audio/pcm;rate="24000";channels=2'),
    "a telephone's": (encoded("mulaw", "pcm_mulaw", 8_000), "audio/basic"),
    "a telephone's, by another name": (encoded("alaw", "pcm_alaw", 8_000), "audio/PCMA;rate=8000"),
}
"""Samples without a header, and their media types."""

FAILURES: dict[str, tuple[bytes, str]] = {
    "an error": (b'{"error": {"message": "no such voice"}}', "application/json"),
    "an error said to be sound": (b'{"error": {"message": "no such voice"}}', "audio/pcm"),
    "an error in octets": (b'{"detail": "no such voice, none at all"}', OCTETS),
    "a document without sound": (b'{"id": 7, "status": "queued"}', "application/json"),
    "no sound in base64": (
        json.dumps({"audio": base64.b64encode(b"<html>no</html> no such").decode()}).encode(),
        "application/json",
    ),
    "an error in Chinese": ('{"error": {"message": "余额不足", "code": 5}}'.encode(), OCTETS),
    "an error in Chinese said to be sound": (
        '{"message": "账户余额不足，请充值后再试"}'.encode(),
        "audio/pcm",
    ),
    "words in Chinese said to be sound": ("账户余额不足，请充值后再试".encode() * 9, "audio/pcm"),
    "a list of errors": (b'[{"error": {"message": "no such voice"}}]', "application/json"),
    "a document without a bottom": (b"[" * 3_000, "application/json"),
    "a page": ("<html>网关错误</html>".encode(), "text/html; charset=utf-8"),
    "a page said to be sound": (b"<!DOCTYPE html>\n<html><body>Bad gateway", "audio/mpeg"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(400), "image/png"),
    "a picture said to be sound": (b"\x89PNG\r\n\x1a\n" + bytes(400), "audio/pcm"),
    "an MP4": (b"\0\0\0\x20ftypM4A " + bytes(400), "audio/mp4"),
    "a video": (wav_file(PCM).replace(b"WAVE", b"AVI "), "video/avi"),
    "noise": (np.random.default_rng(7).bytes(20_000), "audio/pcm"),
    "noise in octets": (np.random.default_rng(8).bytes(20_000), OCTETS),
    "noise said to be MP3": (np.random.default_rng(9).bytes(20_000), "audio/mpeg"),
    "noise that begins as MP3 does": (
        b"ID3\x04\0\0\0\0\0\0" + np.random.default_rng(10).bytes(20_000),
        "audio/mpeg",
    ),
    "noise that begins as Ogg does": (b"OggS" + np.random.default_rng(11).bytes(9_000), OCTETS),
    "noise that begins as FLAC does": (b"fLaC" + np.random.default_rng(12).bytes(9_000), OCTETS),
    "half a header": (wav_file(PCM)[:30], "audio/wav"),
    "a header alone": (wav_file(b""), "audio/wav"),
    "a WAV without a format": (wav(chunk(b"data", PCM)), "audio/wav"),
    "a WAV of unknown code": (wav_file(PCM, fmt(0x55)), "audio/wav"),
    "a WAV of no rate": (wav_file(PCM, fmt(rate_hertz=0)), "audio/wav"),
    "a rate that is none": (PCM, "audio/pcm;rate=fast"),
    "a rate that no voice has": (PCM, "audio/pcm;rate=1"),
    "nothing": (b"", "audio/pcm"),
    "silence": (bytes(9_600), "audio/pcm"),
    "silence in a WAV": (wav_file(bytes(9_600)), "audio/wav"),
}
"""Answers that are not audio, and their media types."""


@pytest.mark.parametrize("kind", ["audio/pcm", "audio/wav", OCTETS, "audio/mpeg", ""])
@pytest.mark.parametrize("body", EXACT.values(), ids=EXACT)
async def test_exactly_the_samples_are_heard_whatever_they_are_said_to_be(
    body: bytes, kind: str
) -> None:
    assert await speak([body], kind) == PCM


@pytest.mark.parametrize("kind", ["audio/mpeg", OCTETS, "audio/pcm"])
@pytest.mark.parametrize("body", ALIKE.values(), ids=ALIKE)
async def test_a_coded_sound_is_decoded_whatever_it_is_said_to_be(body: bytes, kind: str) -> None:
    _assert_tone(await speak(in_pieces(body, range(0, len(body), 333)), kind))


@pytest.mark.parametrize(("body", "kind"), DECLARED.values(), ids=DECLARED)
async def test_samples_are_what_the_media_type_declares(body: bytes, kind: str) -> None:
    _assert_tone(await speak(in_pieces(body, range(0, len(body), 333)), kind))


@pytest.mark.parametrize("member", ["audio", "data", "audioContent", "b64_json"])
@pytest.mark.parametrize("body", [PCM, wav_file(PCM)], ids=["samples", "WAV"])
async def test_a_sound_in_a_document_is_heard(body: bytes, member: str) -> None:
    for text in (base64.b64encode(body).decode(), body.hex()):
        for document in ({member: text}, {"data": {member: text}}, {"data": [{member: text}]}):
            answer = json.dumps({"id": "x", "error": None, **document}).encode()
            assert await speak([answer], "application/json") == PCM


@pytest.mark.parametrize("kind", ["", "text/html", "audio/pcm", "audio/mpeg", OCTETS])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "byte order mark"])
async def test_a_document_is_one_whatever_it_is_said_to_be(mark: bytes, kind: str) -> None:
    answer = json.dumps({"audio": base64.b64encode(PCM).decode()}).encode()
    assert await speak(in_pieces(mark + answer, range(0, len(answer), 333)), kind) == PCM


async def test_all_parts_of_a_sound_are_heard() -> None:
    parts = [base64.b64encode(PCM[at : at + 4_800]).decode() for at in range(0, len(PCM), 4_800)]
    for document in (
        {"words": [{"data": []}], "audio": parts},
        {"data": [{"audio": each} for each in parts]},
        [{"audio_base64": each} for each in parts],
    ):
        assert await speak([json.dumps(document).encode()], "application/json") == PCM


@pytest.mark.parametrize("success", [{"code": 0}, {"code": "200"}, {"code": 20_000}])
async def test_a_message_of_success_is_no_error(success: dict[str, object]) -> None:
    document = {**success, "message": "Success", "data": base64.b64encode(PCM).decode()}
    assert await speak([json.dumps(document).encode()], "application/json") == PCM


async def test_silence_in_a_document_is_silence() -> None:
    sound = bytes(9_600) + tone().astype("<i2").tobytes()
    answer = json.dumps({"audio": base64.b64encode(sound).decode()}).encode()
    assert await speak([answer], "application/json") == sound


def _assert_tone(pcm: bytes) -> None:
    assert duration_s(len(pcm), SAMPLE_RATE_HERTZ) == pytest.approx(0.5, abs=0.06)
    assert loudest_hertz(pcm) == pytest.approx(440, abs=10)
    peak = np.abs(np.frombuffer(pcm, "<i2").astype(int)).max()
    assert peak == pytest.approx(8_000, rel=0.15)


@given(name=st.sampled_from([*EXACT, *ALIKE]), cuts=st.lists(st.integers(0, 100_000), max_size=12))
@settings(max_examples=30)
def test_it_is_the_same_wherever_the_bytes_are_cut(name: str, cuts: list[int]) -> None:
    body = (EXACT | ALIKE)[name]
    heard = asyncio.run(speak(in_pieces(body, [*cuts, *(each % 64 for each in cuts)])))
    if name in EXACT:
        assert heard == PCM
    else:
        _assert_tone(heard)


@pytest.mark.parametrize("shape", ["whole", "in pieces"])
@pytest.mark.parametrize(("body", "kind"), FAILURES.values(), ids=FAILURES)
async def test_what_is_not_audio_is_not_played_and_the_fallback_is_asked(
    body: bytes, kind: str, shape: str
) -> None:
    pieces = [body] if shape == "whole" else in_pieces(body, range(0, len(body), 600))
    second = ScriptedSynthesizer(name="two")
    async with (
        scripted_voice(pieces, kind) as first,
        FailoverSynthesizer.open(
            [first, second], FailoverRules(first_byte_s=30), voices_of={}
        ) as voice,
    ):
        chunks = [
            each
            async for each in voice.speak(
                once("Hi"), SpeechRequest(voice_id="a", language_code="en")
            )
        ]
    assert second.spoken == ["Hi"]
    # Nothing but the fallback's own sound.
    assert set(b"".join(each.pcm for each in chunks)) == {0, 1}


@pytest.mark.parametrize(
    "name", [name for name, (body, _) in FAILURES.items() if b"no such voice" in body]
)
async def test_what_the_vendor_says_is_kept_for_the_log(name: str) -> None:
    body, kind = FAILURES[name]
    with pytest.raises(ProviderError) as failure:
        await speak([body], kind)
    assert "no such voice" in failure.value.vendor_message
    assert failure.value.stage is Stage.SYNTHESIS
    assert failure.value.transient


@pytest.mark.parametrize(
    ("body", "size"),
    [
        (PCM, 960),
        (wav_file(PCM), 1_000),
        (wav_file(of(tone(22_050), "<i2"), fmt(rate_hertz=22_050)), 9_000),
        (MP3, 3_000),
    ],
    ids=["samples", "WAV", "WAV at another rate", "MP3"],
)
async def test_the_first_sound_does_not_wait_for_the_last(body: bytes, size: int) -> None:
    """The vendor writes on when what it wrote was heard."""
    heard = asyncio.Event()

    async def behave(answer: Answer) -> None:
        await answer.begin(content_type=OCTETS)
        await answer.piece(body[:size])
        await heard.wait()
        await answer.piece(body[size:])
        await answer.end()

    async with answering(behave) as voice:
        async for _ in voice.speak(
            once("Hello"), SpeechRequest(voice_id="coral", language_code="en")
        ):
            heard.set()
    assert heard.is_set()


@pytest.mark.parametrize("body", [PCM[:960], MP3[:3_000]], ids=["samples", "MP3"])
async def test_closing_early_drops_the_connection(body: bytes) -> None:
    async def behave(answer: Answer) -> None:
        await answer.begin(content_type=OCTETS)
        await answer.piece(body)
        await asyncio.Event().wait()

    async with scripted_vendor(behave) as vendor, _at(vendor.base_url) as voice:
        chunks = voice.speak(once("Hello"), SpeechRequest(voice_id="coral", language_code="en"))
        async with closing(chunks):
            async for _ in chunks:
                break
        async with asyncio.timeout(10):
            await vendor.gone.wait()


async def test_a_voice_without_raw_samples_is_asked_for_its_own_format() -> None:
    message = b'{"error": {"message": "response_format must be one of mp3, opus"}}'
    replies = [(400, "application/json", message), *[(200, "audio/mpeg", MP3)] * 2]

    async def behave(answer: Answer) -> None:
        await answer.whole(*replies.pop(0))

    async with scripted_vendor(behave) as vendor, _at(vendor.base_url) as voice:
        for _ in range(2):
            chunks = voice.speak(once("Hello"), SpeechRequest(voice_id="coral", language_code="en"))
            _assert_tone(b"".join([chunk.pcm async for chunk in chunks]))
        asked = ["response_format" in json.loads(each.body) for each in vendor.requests]
        assert asked == [True, False, False]


async def test_a_stalled_coded_sound_is_abandoned() -> None:
    async def behave(answer: Answer) -> None:
        await answer.begin(content_type="audio/mpeg")
        await answer.piece(MP3[:600])
        await asyncio.Event().wait()

    hasty = Deadlines(first_s=0.2, next_s=0.2, total_s=1)
    async with scripted_vendor(behave) as vendor, _at(vendor.base_url, hasty) as voice:
        chunks = voice.speak(once("Hello"), SpeechRequest(voice_id="coral", language_code="en"))
        with pytest.raises(ProviderError, match="late"):
            await anext(chunks)


async def test_a_coded_sound_whose_connection_breaks_is_a_failure() -> None:
    async def behave(answer: Answer) -> None:
        await answer.begin(content_type="audio/mpeg")
        await answer.piece(MP3[:3_000])

    async with answering(behave) as voice:
        chunks = voice.speak(once("Hello"), SpeechRequest(voice_id="coral", language_code="en"))
        with pytest.raises(ProviderError, match="connection failed"):
            _ = [each async for each in chunks]


@asynccontextmanager
async def answering(behave: Behaviour) -> AsyncIterator[OpenAiSynthesizer]:
    """A voice of a vendor that behaves so."""
    async with scripted_vendor(behave) as vendor, _at(vendor.base_url) as voice:
        yield voice


@asynccontextmanager
async def _at(
    base_url: str, deadlines: Deadlines = ENDPOINT.deadlines
) -> AsyncIterator[OpenAiSynthesizer]:
    endpoint = Endpoint(
        name="vendor", base_url=base_url, api_key=None, model="some-model", deadlines=deadlines
    )
    async with OpenAiSynthesizer.open(endpoint, voice_ids=["coral"]) as voice:
        yield voice
