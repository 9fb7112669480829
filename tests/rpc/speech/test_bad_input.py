"""What breaks the grammar of a stream is refused with its field and rule."""

from typing import Any

import grpc
import pytest

from digitalhuman.speech.v1 import speech_pb2 as pb
from services.runtime.failures.errors import from_rpc_error
from services.runtime.failures.reasons import Reason
from services.speech.listening.rules import ListeningRules
from services.speech.playback.wire import to_format
from tests.support.converse import COMMIT, Talk, audio, refusal, say, setup, text
from tests.support.loudness import silent, voiced
from tests.support.speech_rig import Script, speech_rig

ODD = pb.ConverseRequest(audio=pb.ConverseAudio(pcm=b"\x00\x00\x00"))
SERVER = setup(turn_detection=pb.TURN_DETECTION_SERVER)


# A write that meets the end of its call makes gRPC forget why it ended: in every case here the
# request that is refused is the last one.
@pytest.mark.parametrize(
    ("first", "requests", "reason", "field"),
    [
        (setup(), [setup()], Reason.STREAM_ORDER, "setup"),
        (setup(input_format=None), [COMMIT], Reason.INVALID_REQUEST, "input_format"),
        (SERVER, [*audio(voiced(0.1)), COMMIT], Reason.INVALID_REQUEST, "commit"),
        (setup(), [ODD], Reason.AUDIO_INVALID, "audio.pcm"),
        (
            setup(),
            [pb.ConverseRequest(audio=pb.ConverseAudio())],
            Reason.INVALID_REQUEST,
            "audio.pcm",
        ),
        (
            setup(),
            [pb.ConverseRequest(audio=pb.ConverseAudio(pcm=bytes(32_770)))],
            Reason.INVALID_REQUEST,
            "audio.pcm",
        ),
        (setup(input_format=None), audio(silent(0.1)), Reason.INVALID_REQUEST, "input_format"),
        (setup(), [text("  ")], Reason.INVALID_REQUEST, "text.text"),
        (setup(), [text("\0")], Reason.INVALID_REQUEST, "text.text"),
        (setup(), [text("\u200b\u3000\x1b\n")], Reason.INVALID_REQUEST, "text.text"),
        (setup(), [say("\x7f")], Reason.INVALID_REQUEST, "say.text"),
        (setup(), [text("a" * 4_001)], Reason.INVALID_REQUEST, "text.text"),
        (setup(), [say("")], Reason.INVALID_REQUEST, "say.text"),
        (setup(), [pb.ConverseRequest()], Reason.INVALID_REQUEST, "request"),
        (setup(), audio(silent(2.05)), Reason.AUDIO_TOO_LONG, "audio.pcm"),
    ],
)
async def test_a_wrong_request_ends_the_stream(
    first: pb.ConverseRequest,
    requests: list[pb.ConverseRequest],
    reason: Reason,
    field: str,
) -> None:
    async with speech_rig(Script(rules=ListeningRules(longest_s=2.0))) as rig:
        error = await refusal(rig, first, *requests)
        assert error is not None
        assert error.reason is reason
        assert field in error.message


@pytest.mark.parametrize("first", [COMMIT, text("Why?"), *audio(silent(0.1))])
async def test_the_setup_comes_first(first: pb.ConverseRequest) -> None:
    async with speech_rig() as rig:
        error = await refusal(rig, first)
        assert error is not None
        assert error.reason is Reason.STREAM_ORDER


async def test_the_wrong_rate_is_named() -> None:
    async with speech_rig() as rig:
        error = await refusal(rig, setup(input_format=to_format(24_000)))
        assert error is not None
        assert error.reason is Reason.AUDIO_FORMAT_UNSUPPORTED
        assert "setup.input_format.sample_rate_hertz" in error.message


async def test_an_open_microphone_is_never_too_long() -> None:
    script = Script(rules=ListeningRules(longest_s=2.0))
    async with speech_rig(script) as rig, Talk.open(rig, SERVER) as talk:
        await talk.send(*audio(voiced(2.5)))
        await talk.until("speech_ended")


async def test_too_many_turns_at_once_are_refused() -> None:
    async with speech_rig() as rig, Talk.open(rig) as talk:
        rig.avatars.plays_s = 0.1
        await talk.send(text("Why?"))
        await talk.until("playback_started")
        await talk.send(*[say("And one more of these.") for _ in range(17)])
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await talk.finish()
        assert from_rpc_error(failure.value).reason is Reason.RATE_LIMITED


def transcribe(*pcm: bytes, language_code: str = "en", rate: int = 16_000) -> list[Any]:
    """Return the requests of a Transcribe call."""
    first = pb.TranscribeSetup(language_code=language_code, format=to_format(rate))
    return [
        pb.TranscribeRequest(setup=first),
        *(pb.TranscribeRequest(audio=pb.ConverseAudio(pcm=each)) for each in pcm),
    ]


@pytest.mark.parametrize(
    ("requests", "reason"),
    [
        ([], Reason.STREAM_ORDER),
        (transcribe(b"\0\0")[1:], Reason.STREAM_ORDER),
        (transcribe() * 2, Reason.STREAM_ORDER),
        (transcribe(), Reason.AUDIO_INVALID),
        (transcribe(b"\0\0\0"), Reason.AUDIO_INVALID),
        (transcribe(b""), Reason.INVALID_REQUEST),
        (transcribe(language_code="fr"), Reason.LANGUAGE_UNSUPPORTED),
        (transcribe(language_code=""), Reason.INVALID_REQUEST),
        (transcribe(rate=24_000), Reason.AUDIO_FORMAT_UNSUPPORTED),
        (transcribe(rate=8_000), Reason.INVALID_REQUEST),
        (transcribe(*[bytes(32_000)] * 3), Reason.AUDIO_TOO_LONG),
    ],
)
async def test_a_wrong_recognition_is_refused(requests: list[Any], reason: Reason) -> None:
    async with speech_rig(Script(rules=ListeningRules(longest_s=2.0))) as rig:
        call = rig.stub.Transcribe(iter(requests))
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            async for _ in call:
                pass
        assert from_rpc_error(failure.value).reason is reason


@pytest.mark.parametrize(
    ("request_fields", "reason"),
    [
        ({"text": "", "language_code": "en"}, Reason.INVALID_REQUEST),
        ({"text": "Hello", "language_code": ""}, Reason.INVALID_REQUEST),
        ({"text": "Hello", "language_code": "fr"}, Reason.LANGUAGE_UNSUPPORTED),
        ({"text": "Hello", "language_code": "en", "voice_id": "x"}, Reason.VOICE_NOT_FOUND),
        ({"text": "Hello", "language_code": "en", "voice_id": "wei"}, Reason.LANGUAGE_UNSUPPORTED),
    ],
)
async def test_a_wrong_synthesis_is_refused(request_fields: dict[str, str], reason: Reason) -> None:
    async with speech_rig() as rig:
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            async for _ in rig.stub.Synthesize(pb.SynthesizeRequest(**request_fields)):
                pass
        assert from_rpc_error(failure.value).reason is reason


@pytest.mark.parametrize("page_token", ["x", "-1", "１"])
async def test_a_wrong_page_token_is_refused(page_token: str) -> None:
    async with speech_rig() as rig:
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await rig.stub.ListPersonas(pb.ListPersonasRequest(page_token=page_token))
        assert from_rpc_error(failure.value).reason is Reason.INVALID_REQUEST


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"persona_id": "nobody"}, Reason.PERSONA_NOT_FOUND, "setup.persona_id"),
        ({"language_code": "fr"}, Reason.LANGUAGE_UNSUPPORTED, "setup.language_code"),
        ({"voice_id": "nobody"}, Reason.VOICE_NOT_FOUND, "setup.voice_id"),
        ({"voice_id": "wei"}, Reason.LANGUAGE_UNSUPPORTED, "setup.language_code"),
        ({"language_code": "f r"}, Reason.INVALID_REQUEST, "setup.language_code"),
    ],
)
async def test_a_setup_that_cannot_be_served_is_refused_by_its_true_field(
    fields: dict[str, Any], reason: Reason, field: str
) -> None:
    async with speech_rig() as rig:
        call = rig.stub.Converse()
        await call.write(setup(**fields))
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            async for _ in call:
                pass
    error = from_rpc_error(failure.value)
    assert (error.reason, error.violations[0].field) == (reason, field)
    assert error.message.startswith(f"{field}: ")
