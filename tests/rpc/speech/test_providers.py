"""OpenAI-compatible providers against a real HTTP server that behaves as vendors do."""

import asyncio
import io
import json
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from services.speech.ports.chat import ChatMessage, ChatRequest, Role
from services.speech.ports.errors import ProviderError, ProviderQuotaError
from services.speech.ports.recognition import RecognitionRequest
from services.speech.ports.stages import Stage
from services.speech.ports.synthesis import SpeechRequest
from services.speech.providers.failover.recognizer import FailoverRecognizer
from services.speech.providers.failover.relay import FailoverRules
from services.speech.providers.failures import provider_failure
from services.speech.streams import Deadlines, closing, once
from services.speech.vendors.http.client import Endpoint
from services.speech.vendors.openai_chat import OpenAiChatModel
from services.speech.vendors.openai_speech import OpenAiSynthesizer
from services.speech.vendors.openai_transcription import OpenAiRecognizer
from tests.support.forward_proxy import forward_proxy
from tests.support.scripted_providers import ScriptedRecognizer
from tests.support.vendor import Answer, Behaviour, Vendor, scripted_vendor

PATIENT = Deadlines(first_s=10, next_s=10, total_s=20)
HASTY = Deadlines(first_s=0.05, next_s=0.05, total_s=0.1)
QUESTION = [ChatMessage(role=Role.USER, content="Why?")]
KEY = "sk-secret"


def endpoint(vendor: Vendor, deadlines: Deadlines = PATIENT) -> Endpoint:
    """Return where the vendor is."""
    return Endpoint(
        name="openai",
        base_url=vendor.base_url,
        api_key=SecretStr(KEY),
        model="some-model",
        deadlines=deadlines,
    )


async def chat(vendor: Vendor, deadlines: Deadlines = PATIENT) -> list[str]:
    """Return the deltas of a reply."""
    async with OpenAiChatModel.open(endpoint(vendor, deadlines)) as model:
        items = model.stream(ChatRequest(messages=tuple(QUESTION)))
        return [item async for item in items if isinstance(item, str)]


async def speak(vendor: Vendor, deadlines: Deadlines = PATIENT) -> list[bytes]:
    """Return the chunks of a synthesis."""
    async with OpenAiSynthesizer.open(
        endpoint(vendor, deadlines), voice_ids=["coral"]
    ) as synthesizer:
        chunks = synthesizer.speak(
            once("Hello"), SpeechRequest(voice_id="coral", language_code="en")
        )
        return [chunk.pcm async for chunk in chunks]


async def recognise(vendor: Vendor, deadlines: Deadlines = PATIENT) -> list[str]:
    """Return the transcripts of an utterance."""
    async with OpenAiRecognizer.open(endpoint(vendor, deadlines)) as recognizer:
        transcripts = recognizer.transcribe(
            once(b"\x01\x00" * 160), RecognitionRequest(language_codes=("zh-CN",))
        )
        return [each.text async for each in transcripts if each.is_final]


def event(content: str, **choice: object) -> bytes:
    """Return one server-sent event with a delta."""
    body = {"choices": [{"delta": {"content": content}, **choice}]}
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n".encode()


def writing(*pieces: bytes, content_type: str = "text/event-stream") -> Behaviour:
    """A vendor that writes these pieces and ends well."""

    async def behave(answer: Answer) -> None:
        await answer.begin(content_type=content_type)
        for piece in pieces:
            await answer.piece(piece)
        await answer.end()

    return behave


def cutting(*pieces: bytes, content_type: str = "text/event-stream") -> Behaviour:
    """A vendor that hangs up after these pieces."""

    async def behave(answer: Answer) -> None:
        await answer.begin(content_type=content_type)
        for piece in pieces:
            await answer.piece(piece)

    return behave


def refusing(status: int) -> Behaviour:
    """A vendor that answers with a status."""

    async def behave(answer: Answer) -> None:
        await answer.whole(status, "application/json", b'{"error": {"message": "sk-secret"}}')

    return behave


async def stalling(answer: Answer) -> None:
    """Begin well and then say nothing."""
    await answer.begin(content_type="audio/pcm")
    await asyncio.Event().wait()


@asynccontextmanager
async def failing(stage: Stage) -> AsyncIterator[pytest.ExceptionInfo[ProviderError]]:
    """Expect a provider's error that tells no secret."""
    with pytest.raises(ProviderError) as failure:
        yield failure
    assert failure.value.stage is stage
    assert failure.value.provider == "openai"
    assert KEY not in str(failure.value)
    assert failure.value.__cause__ is None


async def test_a_reply_is_streamed() -> None:
    pieces = (
        b": a comment\n\n",
        event("Well, "),
        event("") + event("yes."),
        b'data: {"choices": [], "usage": {}}\n\n',
        event("", finish_reason="stop"),
        b"data: [DONE]\n\n",
    )
    async with scripted_vendor(writing(*pieces)) as vendor:
        assert await chat(vendor) == ["Well, ", "yes."]
        [request] = vendor.requests
        assert request.path == "/v1/chat/completions"
        assert request.headers["authorization"] == f"Bearer {KEY}"
        body = json.loads(request.body)
        assert body["model"] == "some-model"
        assert body["stream"] is True
        assert body["messages"] == [{"role": "user", "content": "Why?"}]


async def test_characters_and_events_may_be_split_anywhere() -> None:
    whole = event("你好，") + event("a\u2028b") + event("再见", finish_reason="stop")
    whole = whole.replace(b"\n", b"\r\n")
    async with scripted_vendor(writing(*(whole[at : at + 1] for at in range(len(whole))))) as one:
        assert "".join(await chat(one)) == "你好，a\u2028b再见"


async def test_the_first_delta_comes_before_the_last_is_written() -> None:
    taken = asyncio.Event()

    async def behave(answer: Answer) -> None:
        await answer.begin()
        await answer.piece(event("first "))
        await taken.wait()
        await answer.piece(event("last", finish_reason="stop"))
        await answer.end()

    async with (
        scripted_vendor(behave) as vendor,
        OpenAiChatModel.open(endpoint(vendor)) as model,
    ):
        deltas = []
        async for delta in model.stream(ChatRequest(messages=tuple(QUESTION))):
            deltas.append(delta)
            taken.set()
        assert deltas == ["first ", "last"]


async def test_closing_early_drops_the_connection() -> None:
    async def behave(answer: Answer) -> None:
        await answer.begin()
        await answer.piece(event("first "))
        await asyncio.Event().wait()

    async with (
        scripted_vendor(behave) as vendor,
        OpenAiChatModel.open(endpoint(vendor)) as model,
    ):
        async with closing(model.stream(ChatRequest(messages=tuple(QUESTION)))) as deltas:
            async for _ in deltas:
                break
        async with asyncio.timeout(10):
            await vendor.gone.wait()


@pytest.mark.parametrize(
    "behaviour",
    [
        cutting(event("Well, ")),
        writing(event("Well, ")),
        writing(b"data: {not json}\n\n"),
        writing(b"data: [1, 2]\n\n"),
        writing(b'data: {"choices": [7]}\n\n'),
        writing(b'data: {"error": {"message": "sk-secret"}}\n\n'),
        writing(b"data: \xff\xfe\n\n"),
        writing(b"<html>not events</html>", content_type="text/html"),
        writing(b"x" * 3_000_000),
        writing(b"data: x\n" * 300_000),
        refusing(500),
        refusing(503),
        refusing(408),
    ],
    ids=[
        "cut",
        "not finished",
        "not JSON",
        "not an object",
        "not a choice",
        "an error",
        "not UTF-8",
        "not events",
        "endless line",
        "endless event",
        "500",
        "503",
        "408",
    ],
)
async def test_a_broken_reply_may_succeed_later(behaviour: Behaviour) -> None:
    async with scripted_vendor(behaviour) as vendor, failing(Stage.CHAT) as failure:
        await chat(vendor)
    assert failure.value.transient
    assert not isinstance(failure.value, ProviderQuotaError)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 302])
async def test_a_refusal_is_a_misconfiguration(status: int) -> None:
    async with scripted_vendor(refusing(status)) as vendor:
        async with failing(Stage.CHAT) as failure:
            await chat(vendor)
        assert not failure.value.transient
        async with failing(Stage.SYNTHESIS) as failure:
            await speak(vendor)
        assert not failure.value.transient
        async with failing(Stage.RECOGNITION) as failure:
            await recognise(vendor)
        assert not failure.value.transient


async def test_a_used_up_quota_is_reported() -> None:
    async with scripted_vendor(refusing(429)) as vendor:
        with pytest.raises(ProviderQuotaError):
            await chat(vendor)
        with pytest.raises(ProviderQuotaError):
            await speak(vendor)
        with pytest.raises(ProviderQuotaError):
            await recognise(vendor)


async def test_a_stalled_vendor_is_abandoned() -> None:
    async with scripted_vendor(stalling) as vendor:
        async with failing(Stage.CHAT) as failure:
            await chat(vendor, HASTY)
        assert failure.value.transient
        async with failing(Stage.SYNTHESIS):
            await speak(vendor, HASTY)
        async with failing(Stage.RECOGNITION):
            await recognise(vendor, HASTY)


async def test_an_unreachable_vendor_is_reported() -> None:
    nowhere = Vendor(behaviour=stalling, base_url="http://127.0.0.1:1/v1")
    async with failing(Stage.CHAT) as failure:
        await chat(nowhere)
    assert failure.value.transient


async def test_speech_is_streamed_in_whole_samples() -> None:
    pcm = bytes(range(250)) * 4
    pieces = (pcm[:1], pcm[1:4], pcm[4:7], pcm[7:])
    async with scripted_vendor(writing(*pieces, content_type="audio/pcm")) as vendor:
        chunks = await speak(vendor)
        assert b"".join(chunks) == pcm
        assert all(len(chunk) % 2 == 0 for chunk in chunks)
        [request] = vendor.requests
        assert request.path == "/v1/audio/speech"
        assert json.loads(request.body) == {
            "model": "some-model",
            "input": "Hello",
            "voice": "coral",
            "response_format": "pcm",
        }


@pytest.mark.parametrize(
    "behaviour",
    [
        writing(b"\x00" * 3, content_type="audio/pcm"),
        cutting(b"\x00" * 4, content_type="audio/pcm"),
        writing(b"{}", content_type="application/json"),
        writing(b"<html>", content_type="text/html"),
    ],
    ids=["half a sample", "cut", "JSON", "HTML"],
)
async def test_broken_speech_is_reported(behaviour: Behaviour) -> None:
    async with scripted_vendor(behaviour) as vendor, failing(Stage.SYNTHESIS) as failure:
        await speak(vendor)
    assert failure.value.transient


async def test_an_utterance_is_sent_as_a_file() -> None:
    answer = writing(b'{"text": " hello "}', content_type="application/json")
    async with scripted_vendor(answer) as vendor:
        assert await recognise(vendor) == ["hello"]
        [request] = vendor.requests
        assert request.path == "/v1/audio/transcriptions"
        assert b'name="model"\r\n\r\nsome-model' in request.body
        assert b'name="language"\r\n\r\nzh\r\n' in request.body
        start = request.body.index(b"RIFF")
        with wave.open(io.BytesIO(request.body[start:])) as file:
            assert file.getframerate() == 16_000
            assert file.readframes(file.getnframes()) == b"\x01\x00" * 160


WHOLE = (
    b'{"text": " Hello, there. "}',
    b'{"text": "Hello, there.", "segments": [{"id": 0, "text": "Hello,"}], "language": "en"}',
    b'{"task": "transcribe", "segments": [{"text": " Hello,"}, {"text": " there."}]}',
    b'{"text": "Hello, there.", "error": null, "code": 0, "message": "success"}',
    b'"Hello, there."',
)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        *((body, "application/json") for body in WHOLE),
        (b"Hello, there.\n", "text/plain"),
        *((b"\xef\xbb\xbf" + body, "application/json") for body in WHOLE[:1]),
        (b"\xef\xbb\xbfHello, there.", "text/plain; charset=utf-8"),
    ],
)
async def test_a_transcript_comes_in_several_shapes(body: bytes, kind: str) -> None:
    async with scripted_vendor(writing(body, content_type=kind)) as vendor:
        assert await recognise(vendor) == ["Hello, there."]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"text": ""}', "application/json"),
        (b'{"segments": []}', "application/json"),
        (b"\n", "text/plain"),
    ],
)
async def test_an_empty_transcript_is_not_a_failure(body: bytes, kind: str) -> None:
    async with scripted_vendor(writing(body, content_type=kind)) as vendor:
        assert await recognise(vendor) == [""]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"not json", "application/json"),
        (b"", "application/json"),
        (b'{"txt": 1}', "application/json"),
        (b'{"result": "Hello."}', "application/json"),
        (b"[1]", "application/json"),
        (b"[" * 3_000, "application/json"),
        (b'[{"text": "Hello."}]', "application/json"),
        (b"null", "application/json"),
        (b'{"text": null}', "application/json"),
        (b'{"text": ["Hello."]}', "application/json"),
        (b'{"text": {"value": "Hello."}}', "application/json"),
        (b'{"segments": [{"text": "Hello"}, {"text": 1}]}', "application/json"),
        (b'{"segments": ["Hello"]}', "application/json"),
        (b'{"text": "", "error": {"message": "busy"}}', "application/json"),
        (b'{"error": "busy"}', "application/json"),
        (b'{"code": 500, "msg": "busy"}', "application/json"),
        (b'{"detail": "busy"}', "application/json"),
        (b"<html><body>busy</body></html>", "text/html"),
        (b"<html><body>busy</body></html>", "text/plain"),
        (b'\xef\xbb\xbf{"error": {"message": "busy"}}', "application/json"),
        (b"\xef\xbb\xbf<html><body>busy</body></html>", "text/plain"),
        (b"\xef\xbb\xbfWEBVTT\n\nHello.", "text/plain"),
        (b"WEBVTT\n\n00:00.000 --> 00:01.000\nHello.", "text/plain"),
        (b"1\n00:00:00,000 --> 00:00:01,000\nHello.\n", "text/plain"),
        (b"\xff\xfe\x00", "application/json"),
    ],
)
async def test_an_unknown_transcript_is_a_failure_and_the_fallback_is_asked(
    body: bytes, kind: str
) -> None:
    second = ScriptedRecognizer(name="two", hypotheses=("from two",))
    async with scripted_vendor(writing(body, content_type=kind)) as vendor:
        async with failing(Stage.RECOGNITION) as failure:
            await recognise(vendor)
        assert failure.value.transient
        assert ("busy" in failure.value.vendor_message) is (b"busy" in body)
        # What may have been said is not for the log.
        assert "Hello" not in failure.value.vendor_message
        async with (
            OpenAiRecognizer.open(endpoint(vendor)) as first,
            FailoverRecognizer.open([first, second], FailoverRules(first_byte_s=30)) as both,
        ):
            heard = both.transcribe(
                once(b"\x01\x00" * 160), RecognitionRequest(language_codes=("en",))
            )
            assert [each.text async for each in heard if each.is_final] == ["from two"]


async def test_a_recognizer_that_refuses_the_format_is_asked_for_its_own() -> None:
    replies = [
        (422, b'{"detail": [{"loc": ["body", "response_format"], "msg": "not permitted"}]}'),
        (200, b'{"text": "Hello."}'),
    ]

    async def behave(answer: Answer) -> None:
        status, body = replies.pop(0)
        await answer.whole(status, "application/json", body)

    async with scripted_vendor(behave) as vendor:
        assert await recognise(vendor) == ["Hello."]
        first, second = vendor.requests
        assert b"response_format" in first.body
        assert b"response_format" not in second.body
        assert b"RIFF" in second.body


SECRETS = (
    f'{{"error": {{"message": "Incorrect API key provided: {KEY}. See your account."}}}}',
    '{"error": {"message": "Incorrect API key provided: sk-proj-ab12****wxyz."}}',
    '{"error": "Authorization: Bearer abcdefgh.ijkl is wrong"}',
    '{"detail": "token=0123456789 is unknown"}',
    '{"message": "key 4f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c of account seven is disabled"}',
    f"<html><style>p {{}}</style><p>No access with {KEY}\u0007\nfor you</p></html>",
    f"No access. {'very ' * 2_000}",
)


@pytest.mark.parametrize("text", SECRETS)
async def test_what_a_vendor_says_is_logged_short_and_without_keys(text: str) -> None:
    async def behave(answer: Answer) -> None:
        await answer.whole(401, "application/json", text.encode())

    async with scripted_vendor(behave) as vendor:
        for stage, ask in (
            (Stage.CHAT, chat),
            (Stage.SYNTHESIS, speak),
            (Stage.RECOGNITION, recognise),
        ):
            async with failing(stage) as failure:
                await ask(vendor)
            with capture_logs() as logs:
                problem = provider_failure(failure.value)
            said = logs[0]["vendor_message"]
            assert 10 < len(said) <= 300
            assert said.isprintable()
            for secret in (KEY, "ab12", "wxyz", "ijkl", "0123456789", "4f9a8b7c", "style", "<p>"):
                assert secret not in said
            assert problem.metadata == {"stage": stage.value, "provider": "openai"}
            assert said not in problem.message


async def test_a_vendor_is_called_through_the_proxy_for_it() -> None:
    async def reply(answer: Answer) -> None:
        await answer.whole(200, "application/json", b'{"text": "hello"}')

    async with scripted_vendor(reply) as vendor:
        there = urlsplit(vendor.base_url)
        assert there.hostname is not None
        assert there.port is not None
        async with forward_proxy((there.hostname, there.port)) as proxy:
            outside = replace(
                endpoint(vendor), base_url="http://vendor.example/v1", proxy=proxy.url
            )
            async with OpenAiRecognizer.open(outside) as recognizer:
                audio = once(bytes(3200))
                heard = [
                    each.text
                    async for each in recognizer.transcribe(
                        audio, RecognitionRequest(language_codes=("en",))
                    )
                ]
    assert heard[-1] == "hello"
    assert proxy.asked == ["POST http://vendor.example/v1/audio/transcriptions HTTP/1.1"]


async def test_without_one_it_is_called_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    async with forward_proxy() as proxy:
        for name in ("http_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)

        async def reply(answer: Answer) -> None:
            await answer.whole(200, "application/json", b'{"text": "hello"}')

        async with scripted_vendor(reply) as vendor:
            assert (await recognise(vendor))[-1] == "hello"
    assert proxy.asked == []
