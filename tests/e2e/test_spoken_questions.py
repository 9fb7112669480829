"""A spoken question gets a spoken answer: recordings in, replies that can be understood out."""

import asyncio
import io
import json
import wave
from collections.abc import AsyncIterator, Mapping
from typing import Any

import av
import numpy as np
import pytest
from anyio.from_thread import start_blocking_portal
from rich.console import Console

from digitalhuman.audio.v1 import audio_pb2
from digitalhuman.speech.v1 import speech_pb2, speech_pb2_grpc
from parley.gateway_client.answers import GatewayError
from parley.gateway_client.connection import gateway_at
from parley.gateway_client.gateway import Question
from parley.talk import Call
from tests.support.compose import ROOT
from tests.support.stack import Stack
from tests.support.wer import character_error_rate, word_error_rate

RECORDINGS = ROOT / "tests" / "data" / "speech"
# A person and voices, long and short, numbers, both languages; tests/models hears all recordings.
ASKED = {
    "librivox_0870.wav",
    "cards_005.wav",
    "en_kokoro_bf_emma_3.wav",
    "en_kokoro_am_puck_7.wav",
    "zh_kokoro_zf_xiaobei_2.wav",
    "zh_kokoro_zm_yunxi_8.wav",
}
MANIFEST: list[dict[str, Any]] = [
    each
    for each in json.loads((RECORDINGS / "manifest.json").read_text(encoding="utf-8"))
    if each["file"] in ASKED
]
# The models work for one at a time; the rest of a call is listening to it.
AT_ONCE = 3
# Its replies are short: they are heard to the end.
BRIEF_PERSONA = "terse"
CHUNK_BYTES = 16_000
RATE_HERTZ = 16_000
REPLY_ERROR_LIMITS = {"en": 0.15, "zh": 0.25}
# Of what the user said: single recordings are hard, see the text of each in the manifest.
QUESTION_ERROR_LIMITS = {"en": 0.5, "zh": 0.5}

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def calls(stack: Stack) -> Mapping[str, dict[str, Any]]:
    """What `parley talk` tells of each recording, and what its reply sounds like."""

    async def hold_all() -> dict[str, dict[str, Any]]:
        turns = asyncio.Semaphore(AT_ONCE)

        async def hold(recording: dict[str, Any]) -> dict[str, Any]:
            async with turns:
                return await _call(stack, recording)

        async with asyncio.TaskGroup() as group:
            held = {each["file"]: group.create_task(hold(each)) for each in MANIFEST}
        return {name: call.result() for name, call in held.items()}

    with start_blocking_portal() as portal:
        return portal.call(hold_all)


@pytest.mark.parametrize("recording", MANIFEST, ids=lambda each: each["file"])
class TestRecording:
    """Each recording by itself."""

    def test_the_call_tells_all_of_the_turn(
        self, recording: dict[str, Any], calls: Mapping[str, dict[str, Any]]
    ) -> None:
        call = calls[recording["file"]]
        assert not call["problem"]
        told = call["told"]
        assert told["transcript"].strip()
        assert told["reply"].strip()
        assert told["heard"] == told["reply"]
        assert not told["interrupted"]
        assert {"transcriptMs", "firstPcmSentMs", "playbackStartedMs"} <= set(told["timings"])
        names = [event["event"] for event in told["events"]]
        assert names.index("turn_started") < names.index("sentence_started")
        assert names.index("sentence_started") < names.index("turn_finished")

    def test_the_reply_is_understood_again(
        self, recording: dict[str, Any], calls: Mapping[str, dict[str, Any]]
    ) -> None:
        call = calls[recording["file"]]
        language = recording["language_code"]
        spoken = " ".join(
            event["text"]
            for event in call["told"]["events"]
            if event["event"] == "sentence_started"
        )
        rate = _error_rate(language, spoken, call["recognized"])
        assert rate <= REPLY_ERROR_LIMITS[language], (spoken, call["recognized"])

    def test_the_question_is_understood(
        self, recording: dict[str, Any], calls: Mapping[str, dict[str, Any]]
    ) -> None:
        transcript = calls[recording["file"]]["told"]["transcript"]
        rate = _error_rate(recording["language_code"], recording["text"], transcript)
        assert rate <= QUESTION_ERROR_LIMITS[recording["language_code"]], transcript


def _error_rate(language: str, reference: str, hypothesis: str) -> float:
    measure = character_error_rate if language == "zh" else word_error_rate
    return measure(reference, hypothesis)


async def _call(stack: Stack, recording: dict[str, Any]) -> dict[str, Any]:
    shown, language = io.StringIO(), recording["language_code"]
    question = Question(wav=RECORDINGS / recording["file"], language_code=language)
    try:
        async with gateway_at(stack.gateway_url, stack.api_key) as gateway:
            talk = Call(gateway, Console(file=shown), is_json=True)
            await talk.run(question, persona_id=BRIEF_PERSONA, language_code=language)
    except GatewayError as error:
        return {"problem": str(error)}
    told = json.loads(shown.getvalue())
    pcm, rate = await _played(stack, told["streamId"])
    recognized = await _recognize(stack, pcm, rate, language)
    return {"problem": "", "told": told, "recognized": recognized}


async def _played(stack: Stack, stream_id: str) -> tuple[bytes, int]:
    """What the engine played of a stream's one reply, and its rate."""
    async with stack.engine_client() as engine:
        found = await engine.get("/recordings", params={"stream_id": stream_id})
        # A drive whose answer was lost was ordered again, and never played.
        drives = found.raise_for_status().json()["drives"]
        (drive,) = [each for each in drives if each["played_samples"]]
        recording = (await engine.get(drive["wav"])).raise_for_status().content
    with wave.open(io.BytesIO(recording)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return file.readframes(file.getnframes()), file.getframerate()


async def _recognize(stack: Stack, pcm: bytes, rate: int, language: str) -> str:
    assert rate in (RATE_HERTZ, 24_000)
    heard = pcm if rate == RATE_HERTZ else _to_16_khz(pcm)

    async def requests() -> AsyncIterator[speech_pb2.TranscribeRequest]:
        audio_format = audio_pb2.AudioFormat(
            encoding=audio_pb2.AUDIO_ENCODING_PCM_S16LE,
            sample_rate_hertz=RATE_HERTZ,
            channel_count=1,
        )
        setup = speech_pb2.TranscribeSetup(language_code=language, format=audio_format)
        yield speech_pb2.TranscribeRequest(setup=setup)
        for at in range(0, len(heard), CHUNK_BYTES):
            audio = speech_pb2.ConverseAudio(pcm=heard[at : at + CHUNK_BYTES])
            yield speech_pb2.TranscribeRequest(audio=audio)

    text = ""
    async with stack.channel("speech") as channel:
        stub = speech_pb2_grpc.SpeechServiceStub(channel)
        metadata = (("authorization", f"Bearer {stack.service_token}"),)
        async for answer in stub.Transcribe(requests(), metadata=metadata):
            text = answer.transcript.text
    return text


def _to_16_khz(pcm: bytes) -> bytes:

    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HERTZ)
    frame = av.AudioFrame.from_ndarray(
        np.frombuffer(pcm, dtype=np.int16).reshape(1, -1), format="s16", layout="mono"
    )
    frame.sample_rate = 24_000
    frames = [*resampler.resample(frame), *resampler.resample(None)]
    return b"".join(each.to_ndarray().tobytes() for each in frames)
