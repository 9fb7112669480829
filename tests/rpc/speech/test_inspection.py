"""What the doctor checks of speech: settings, personas, voices, and a round trip per vendor."""

import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog

from riva.proto.riva_tts_pb2 import RivaSynthesisConfigRequest, RivaSynthesisConfigResponse
from services.runtime.check import Finding, Verdict, tell
from services.runtime.settings.environment import load
from services.speech.inspection import inspect
from services.speech.ports.errors import ProviderError
from services.speech.ports.synthesis import Voice
from services.speech.process import read_personas
from services.speech.profiles.choice import choose_profiles
from services.speech.provider_settings import VendorSettings
from services.speech.providers.round_trips import PATIENCE
from services.speech.settings import SpeechSettings
from services.speech.streams import Deadlines
from services.speech.vendors import registry, riva_speech
from services.speech.vendors.registry import SYNTHESIZERS
from services.speech.vendors.riva_speech import RivaSpeechSettings
from services.speech.voices import any_language
from tests.support.vendor import Answer, Behaviour, Vendor, scripted_vendor

REPLY = json.dumps({"choices": [{"delta": {"content": "OK."}, "finish_reason": "stop"}]})
EMPTY = json.dumps({"choices": [{"delta": {}, "finish_reason": "stop"}]})
STAGES = ("RECOGNIZER", "CHAT", "SYNTHESIZER", "CHAT_FALLBACK")


def answering(content_type: str, body: bytes, status: int = 200) -> Behaviour:
    async def behave(answer: Answer) -> None:
        await answer.whole(status, content_type, body)

    return behave


def chatting(event: str) -> Behaviour:
    return answering("text/event-stream", f"data: {event}\n\ndata: [DONE]\n\n".encode())


def refusing(status: int, message: str) -> Behaviour:
    body = json.dumps({"error": {"message": message}}).encode()
    return answering("application/json", body, status)


TRANSCRIBING = answering("application/json", b'{"text": ""}')
SPEAKING = answering("audio/pcm", b"\1\0" * 24_000)
GOOD = dict(zip(STAGES, (TRANSCRIBING, chatting(REPLY), SPEAKING, chatting(REPLY)), strict=True))


@pytest.fixture
async def stack(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AsyncExitStack]:
    monkeypatch.setenv("PARLEY_LLM", "none")
    async with AsyncExitStack() as stack:
        yield stack


async def hired(
    stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, behaviours: dict[str, Behaviour]
) -> dict[str, Vendor]:
    """Set the stages up with a vendor each."""
    vendors = {}
    for stage, behaviour in behaviours.items():
        vendor = await stack.enter_async_context(scripted_vendor(behaviour))
        monkeypatch.setenv(f"SPEECH_{stage}", "openai")
        monkeypatch.setenv(f"SPEECH_{stage}_BASE_URL", vendor.base_url)
        monkeypatch.setenv(f"SPEECH_{stage}_API_KEY", f"key-of-{stage}")
        vendors[stage] = vendor
    return vendors


def problems(found: "list[Finding]") -> dict[str, str]:
    return {each.subject: each.found for each in found if each.verdict is Verdict.PROBLEM}


async def test_each_vendor_is_asked_once(
    stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendors = await hired(stack, monkeypatch, GOOD)
    found = list(await inspect())
    assert not problems(found)
    told = {each.subject: each.found for each in found}
    for stage in STAGES:
        assert re.search(r" answers after \d+\.\d\d s", told[f"SPEECH_{stage}"])
    assert "; voices: coral, alloy, ash" in told["SPEECH_SYNTHESIZER"]
    for stage, vendor in vendors.items():
        (request,) = vendor.requests
        assert request.headers["authorization"] == f"Bearer key-of-{stage}"


@pytest.mark.parametrize(
    ("stage", "behaviour", "words"),
    [
        ("CHAT", answering("application/json", b"{}", 401), "the key is not accepted"),
        ("CHAT_FALLBACK", answering("application/json", b"{}", 404), "no such address or model"),
        (
            "CHAT",
            refusing(404, "The model gpt-4o-mini does not exist"),
            "the model gpt-4o-mini does not exist there, or this key may not use it",
        ),
        (
            "SYNTHESIZER",
            refusing(400, "Invalid value for voice"),
            "this key may not use the voice coral, or there is none of the name",
        ),
        ("CHAT", refusing(403, "Request timestamp too skewed"), "this machine's clock is wrong"),
        ("RECOGNIZER", refusing(402, "Pay first"), "the account has no balance left"),
        ("RECOGNIZER", refusing(429, "Insufficient balance"), "the account has no balance left"),
        ("CHAT", chatting(EMPTY), "without a word"),
        ("RECOGNIZER", answering("application/json", b"{}", 429), "the quota is used up"),
        ("RECOGNIZER", answering("application/json", b"<html>"), "malformed"),
        ("SYNTHESIZER", answering("application/json", b"{}", 500), "status 500"),
        ("SYNTHESIZER", answering("audio/pcm", b""), "no audio"),
    ],
)
async def test_a_vendor_s_fault_is_reported_in_words(
    stack: AsyncExitStack,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    behaviour: Behaviour,
    words: str,
) -> None:
    vendors = await hired(stack, monkeypatch, GOOD | {stage: behaviour})
    found = list(await inspect())
    ((subject, told),) = problems(found).items()
    assert subject == f"SPEECH_{stage}"
    assert words in told
    assert vendors[stage].base_url in told
    assert all(f"key-of-{stage}" not in each.found for each in found)


async def test_an_unreachable_vendor_is_named(
    stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEECH_CHAT", "openai")
    monkeypatch.setenv("SPEECH_CHAT_BASE_URL", "http://127.0.0.1:9/v1")
    told = problems(list(await inspect()))["SPEECH_CHAT"]
    assert told.startswith("http://127.0.0.1:9/v1: ")
    assert "nothing answers there" in told


async def test_the_providers_of_a_file_are_asked_by_name(
    stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    good = await stack.enter_async_context(scripted_vendor(chatting(REPLY)))
    bad = await stack.enter_async_context(scripted_vendor(refusing(401, "no")))
    path = tmp_path / "providers.toml"
    path.write_text(
        f'[chats.brain]\nkind = "openai"\nbase_url = "{good.base_url}"\n'
        f'[chats.spare]\nkind = "openai"\nbase_url = "{bad.base_url}"\n'
        '[profiles.shop]\nchat = ["brain", "spare"]\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("SPEECH_PROVIDERS", str(path))
    found = list(await inspect())
    told = {each.subject: each for each in found}
    assert told["providers"].found == f"{path}: profiles shop"
    assert told["chats.brain"].verdict is Verdict.FINE
    assert "the key is not accepted" in problems(found)["chats.spare"]
    assert "chats.spare.api_key" in told["chats.spare"].remedy
    assert len(good.requests) == len(bad.requests) == 1


async def test_a_fault_of_the_file_is_told_by_the_doctor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "providers.toml"
    path.write_text('[chats.brain]\nkind = "opnai"\n[profiles.shop]\n', encoding="utf-8")
    monkeypatch.setenv("SPEECH_PROVIDERS", str(path))
    await tell(inspect)
    [told] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told["subject"] == str(path)
    assert told["found"].startswith("chats.brain.kind: must be one of 'embedded',")


@pytest.mark.parametrize(
    ("settings", "subject", "words"),
    [
        ({"SPEECH_CHAT": "opnai"}, "SPEECH_CHAT", "'openai'"),
        ({"SPEECH_CHAT": "openai"}, "settings", "SPEECH_CHAT_API_KEY or OPENAI_API_KEY"),
        (
            {"SPEECH_CHAT": "openai", "SPEECH_CHAT_BASE_URL": "localhost:8000"},
            "SPEECH_CHAT_BASE_URL",
            "must be like https://host",
        ),
        ({"SPEECH_THREADS": "all"}, "SPEECH_THREADS", "integer"),
        ({"SPEECH_DEFAULT_PERSONA": "nobody"}, "persona", "nobody.toml is missing"),
        ({"SPEECH_PERSONAS": "/nowhere"}, "persona", "there is no persona file"),
        (
            {
                "SPEECH_SYNTHESIZER": "openai",
                "SPEECH_SYNTHESIZER_BASE_URL": "http://127.0.0.1:9/v1",
                "SPEECH_SYNTHESIZER_FALLBACK": "embedded",
                "SPEECH_SYNTHESIZER_FALLBACK_VOICE_PAIRS": "coral=nobody",
            },
            "SPEECH_SYNTHESIZER_FALLBACK_VOICE_PAIRS",
            "there is no voice nobody",
        ),
    ],
)
async def test_what_the_start_would_refuse_is_reported(
    stack: AsyncExitStack,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    settings: dict[str, str],
    subject: str,
    words: str,
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    await tell(inspect)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = [each["found"] for each in told if each["subject"] == subject]
    assert any(words in each for each in found), told


async def test_a_wrong_persona_is_a_problem_and_the_others_are_listed(
    stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, voice in (("concierge", "af_heart"), ("guest", "nobody")):
        (tmp_path / f"{name}.toml").write_text(
            f'display_name = "A"\ndescription = "B"\n[languages.en]\nvoice = "{voice}"\n'
            'prompt = "C"\ngreeting = "D"\nsample_question = "E"\n'
        )
    monkeypatch.setenv("SPEECH_PERSONAS", str(tmp_path))
    found = list(await inspect())
    assert "there is no voice nobody" in problems(found)["persona"]
    assert [each.found for each in found if each.subject == "personas"] == ["concierge"]
    # At the start it is one loud line, and the others work.
    settings = load(SpeechSettings)
    with structlog.testing.capture_logs() as told:
        personas = read_personas(settings, choose_profiles(settings))
    assert list(personas.by_id) == ["concierge"]
    (line,) = told
    assert (line["log_level"], "PERSONA LEFT OUT" in line["event"]) == ("error", True)
    assert "guest.toml: languages.en.voice: there is no voice nobody" in line["faults"]


async def test_voices_that_the_vendor_does_not_list_are_told(
    stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def list_voices(settings: VendorSettings, deadlines: Deadlines) -> Sequence[Voice]:
        return any_language(["alloy", "ash"])

    listing = replace(SYNTHESIZERS["openai"], list_voices=list_voices)
    monkeypatch.setitem(registry.SYNTHESIZERS, "openai", listing)
    await hired(stack, monkeypatch, {"SYNTHESIZER": SPEAKING})
    monkeypatch.setenv("SPEECH_SYNTHESIZER_VOICES", "alloy,coral,nova")
    [told] = [each for each in await inspect() if each.subject == "SPEECH_SYNTHESIZER"]
    assert told.verdict is Verdict.WARNING
    assert "it does not list coral, nova" in told.found
    assert told.remedy == "Set SPEECH_SYNTHESIZER_VOICES to some of alloy, ash."


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a vendor answers that lists its voices, and what is read from that."""

    kind: str
    path: str
    key_header: str
    body: bytes
    voice: Voice


LISTINGS = (
    Listing(
        kind="azure",
        path="/cognitiveservices/voices/list",
        key_header="ocp-apim-subscription-key",
        body=b'[{"ShortName": "en-US-Ava", "DisplayName": "Ava", "Locale": "en-US"}]',
        voice=Voice(voice_id="en-US-Ava", display_name="Ava", language_codes=("en-US",)),
    ),
    Listing(
        kind="elevenlabs",
        path="/voices",
        key_header="xi-api-key",
        body=b'{"voices": [{"voice_id": "21m00", "name": "Rachel", "labels": {}}]}',
        voice=Voice(voice_id="21m00", display_name="Rachel", language_codes=()),
    ),
)
each_listing = pytest.mark.parametrize("listing", LISTINGS, ids=lambda each: each.kind)


async def listed_at(vendor: Vendor, kind: str) -> Sequence[Voice]:
    """The voices that a kind of vendor lists at an address."""
    declared = SYNTHESIZERS[kind]
    address = vendor.base_url.removesuffix("/v1").replace("http", "ws")
    settings = declared.settings.model_validate(
        {"setting": "synthesizers.a", "base_url": address, "api_key": "key-of-a"}
    )
    assert declared.list_voices is not None
    return await declared.list_voices(settings, PATIENCE)


@each_listing
async def test_a_vendor_lists_its_voices(stack: AsyncExitStack, listing: Listing) -> None:
    behaviour = answering("application/json", listing.body)
    vendor = await stack.enter_async_context(scripted_vendor(behaviour))
    assert await listed_at(vendor, listing.kind) == [listing.voice]
    [request] = vendor.requests
    assert request.path == listing.path
    assert request.headers[listing.key_header] == "key-of-a"
    assert "authorization" not in request.headers


@each_listing
@pytest.mark.parametrize(
    ("body", "status", "fault"),
    [
        (b"[{}]", 200, "it lists no voices"),
        (b'{"voices": 1}', 200, "it lists no voices"),
        (b"{}", 200, "it lists no voices"),
        (b"", 401, "status 401"),
    ],
)
async def test_a_vendor_may_list_no_voices(
    stack: AsyncExitStack, listing: Listing, body: bytes, status: int, fault: str
) -> None:
    behaviour = answering("application/json", body, status)
    vendor = await stack.enter_async_context(scripted_vendor(behaviour))
    with pytest.raises(ProviderError, match=fault):
        await listed_at(vendor, listing.kind)


def test_each_vendor_that_lists_voices_is_tried() -> None:
    listing = {kind for kind, each in SYNTHESIZERS.items() if each.list_voices is not None}
    assert listing == {"riva", *(each.kind for each in LISTINGS)}


@asynccontextmanager
async def riva_listing(answer: Any) -> AsyncIterator[RivaSpeechSettings]:
    """Settings for a server of Riva that lists its voices by a handler."""
    handler = grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=RivaSynthesisConfigRequest.FromString,
        response_serializer=RivaSynthesisConfigResponse.SerializeToString,
    )
    server = grpc.aio.server()
    service = "nvidia.riva.tts.RivaSpeechSynthesis"
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {"GetRivaSynthesisConfig": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield RivaSpeechSettings.model_validate(
            {
                "setting": "synthesizers.a",
                "base_url": f"http://127.0.0.1:{port}",
                "api_key": "key-of-a",
            }
        )
    finally:
        await server.stop(grace=0)


async def test_riva_lists_the_voices_of_its_models(stack: AsyncExitStack) -> None:
    model = {
        "language_code": "en-US,de-DE",
        "voice_name": "Magpie-Multilingual",
        "subvoices": "EN-US.Aria:0,EN-US.Jason:1",
    }

    async def answer(_: Any, context: Any) -> RivaSynthesisConfigResponse:
        assert ("authorization", "Bearer key-of-a") in context.invocation_metadata()
        return RivaSynthesisConfigResponse(
            model_config=[RivaSynthesisConfigResponse.Config(parameters=model)]
        )

    settings = await stack.enter_async_context(riva_listing(answer))
    voices = await riva_speech.list_voices(settings, PATIENCE)
    assert [each.voice_id for each in voices] == list(settings.voice_ids)
    assert {each.language_codes for each in voices} == {("en-US", "de-DE")}


@pytest.mark.parametrize(
    ("code", "fault"),
    [(grpc.StatusCode.OK, "it lists no voices"), (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENT")],
)
async def test_riva_may_list_no_voices(
    stack: AsyncExitStack, code: grpc.StatusCode, fault: str
) -> None:
    async def answer(_: Any, context: Any) -> RivaSynthesisConfigResponse:
        if code is not grpc.StatusCode.OK:
            await context.abort(code, "no, not with key-of-a")
        return RivaSynthesisConfigResponse()

    settings = await stack.enter_async_context(riva_listing(answer))
    with pytest.raises(ProviderError, match=fault) as failure:
        await riva_speech.list_voices(settings, PATIENCE)
    assert "key-of-a" not in failure.value.vendor_message
