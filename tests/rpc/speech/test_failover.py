"""Vendors that fail over real HTTP, as the settings put them together."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from services.runtime.settings.environment import SettingsError, load
from services.speech.embedded.library import LanguageModel, LibrarySettings, open_store
from services.speech.ports.chat import ChatMessage, ChatRequest, Role
from services.speech.ports.recognition import RecognitionRequest
from services.speech.ports.synthesis import SpeechRequest
from services.speech.profiles.choice import choose_profiles
from services.speech.providers.factory import Trio, open_profiles
from services.speech.providers.failover.breaker import OutageRules
from services.speech.settings import SpeechSettings
from services.speech.streams import once
from tests.support.vendor import Answer, Behaviour, Vendor, scripted_vendor

LIBRARY = LibrarySettings(llm=LanguageModel.NONE)
STORE = open_store(LIBRARY)
QUESTION = [ChatMessage(role=Role.USER, content="Why?")]


async def silent(answer: Answer) -> None:
    """Say nothing at all, and go when the caller does."""
    await answer.writer.wait_closed()


async def mute(answer: Answer) -> None:
    """Take the text and give no audio."""
    await answer.begin(content_type="audio/pcm")
    await answer.end()


def refusing(status: int) -> Behaviour:
    async def behave(answer: Answer) -> None:
        await answer.whole(status, "application/json", b"{}")

    return behave


def answering(content_type: str, body: bytes) -> Behaviour:
    async def behave(answer: Answer) -> None:
        await answer.whole(200, content_type, body)

    return behave


REPLY = json.dumps({"choices": [{"delta": {"content": "Yes."}, "finish_reason": "stop"}]})


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def vendors(
    stack: AsyncExitStack,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    first: Behaviour,
    fallback: Behaviour,
) -> tuple[Vendor, Vendor]:
    """Set a stage up with two vendors."""
    found = []
    for name, behaviour in ((stage, first), (f"{stage}_FALLBACK", fallback)):
        vendor = await stack.enter_async_context(scripted_vendor(behaviour))
        monkeypatch.setenv(f"SPEECH_{name}", "openai")
        monkeypatch.setenv(f"SPEECH_{name}_BASE_URL", vendor.base_url)
        monkeypatch.setenv(f"SPEECH_{name}_API_KEY", f"key-of-{name}")
        found.append(vendor)
    # Only who is silent is late, however busy the machine is.
    monkeypatch.setenv(f"SPEECH_{stage}_FIRST_BYTE_S", "0.1" if first is silent else "15")
    return found[0], found[1]


async def opened(stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch) -> Trio:
    """What serves the stages; those that are not set up have vendors that are not asked."""
    for stage in ("RECOGNIZER", "CHAT", "SYNTHESIZER"):
        if f"SPEECH_{stage}" not in os.environ:
            monkeypatch.setenv(f"SPEECH_{stage}", "openai")
            monkeypatch.setenv(f"SPEECH_{stage}_BASE_URL", "http://127.0.0.1:9/v1")
    profiles = choose_profiles(load(SpeechSettings))
    opening = open_profiles(
        profiles, STORE, LIBRARY, threads=1, outage=OutageRules(), read_ahead=()
    )
    return (await stack.enter_async_context(opening))[profiles.default_name]


async def test_a_silent_language_model_is_disconnected_and_the_fallback_replies(
    stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = f"data: {REPLY}\n\ndata: [DONE]\n\n".encode()
    first, fallback = await vendors(
        stack, monkeypatch, "CHAT", silent, answering("text/event-stream", body)
    )
    chat = (await opened(stack, monkeypatch)).chat
    assert chat is not None
    assert [delta async for delta in chat.stream(ChatRequest(messages=tuple(QUESTION)))] == ["Yes."]
    await first.gone.wait()
    [asked], [asked_again] = first.requests, fallback.requests
    assert asked.body == asked_again.body
    assert asked_again.headers["authorization"] == "Bearer key-of-CHAT_FALLBACK"


async def test_a_recognizer_without_quota_has_its_audio_sent_to_the_fallback(
    stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, fallback = await vendors(
        stack,
        monkeypatch,
        "RECOGNIZER",
        refusing(429),
        answering("application/json", b'{"text": "hello"}'),
    )
    recognizer = (await opened(stack, monkeypatch)).recognizer
    pcm = bytes(range(200)) * 160
    heard = [
        each
        async for each in recognizer.transcribe(
            once(pcm), RecognitionRequest(language_codes=("zh-CN",))
        )
    ]
    assert [each.text for each in heard if each.is_final] == ["hello"]
    assert pcm in first.requests[0].body
    assert pcm in fallback.requests[0].body
    assert b'name="language"\r\n\r\nzh' in fallback.requests[0].body


async def test_a_mute_synthesizer_is_taken_over_from_in_the_paired_voice(
    stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, fallback = await vendors(
        stack, monkeypatch, "SYNTHESIZER", mute, answering("audio/pcm", b"\x01\x00" * 480)
    )
    monkeypatch.setenv("SPEECH_SYNTHESIZER_VOICES", "anna, bert")
    monkeypatch.setenv("SPEECH_SYNTHESIZER_FALLBACK_VOICES", "carla, carl")
    monkeypatch.setenv("SPEECH_SYNTHESIZER_FALLBACK_VOICE_PAIRS", "bert=carl")
    synthesizer = (await opened(stack, monkeypatch)).synthesizer
    chunks = synthesizer.speak(once("Hello."), SpeechRequest(voice_id="bert", language_code="en"))
    assert b"".join([chunk.pcm async for chunk in chunks]) == b"\x01\x00" * 480
    voices = [json.loads(vendor.requests[0].body)["voice"] for vendor in (first, fallback)]
    assert voices == ["bert", "carl"]

    monkeypatch.setenv("SPEECH_SYNTHESIZER_FALLBACK_VOICE_PAIRS", "bert=dora,emil=carl")
    with pytest.raises(SettingsError, match="no voice dora, emil"):
        await opened(stack, monkeypatch)
