"""A persona's profile serves it: its language model, its voices, its fallbacks, opened once."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from services.speech.embedded.library import LanguageModel, LibrarySettings, open_store
from services.speech.ports.chat import ChatMessage, ChatModel, ChatRequest, Role
from services.speech.ports.synthesis import SpeechRequest, Voice
from services.speech.ports.usage import Usage
from services.speech.profiles.file import read_providers_file
from services.speech.profiles.profile import Profiles
from services.speech.providers.factory import Trio, open_profiles
from services.speech.providers.failover.breaker import OutageRules
from services.speech.streams import once
from tests.support.converse import COMMIT, Talk, audio, setup, text
from tests.support.loudness import silent, voiced
from tests.support.scripted_providers import ScriptedChat, ScriptedRecognizer, ScriptedSynthesizer
from tests.support.speech_rig import Script, speech_rig
from tests.support.vendor import Answer, Behaviour, Vendor, scripted_vendor

LIBRARY = LibrarySettings(llm=LanguageModel.NONE)


def replying(words: str) -> Behaviour:
    reply = json.dumps({"choices": [{"delta": {"content": words}, "finish_reason": "stop"}]})

    async def behave(answer: Answer) -> None:
        await answer.whole(200, "text/event-stream", f"data: {reply}\n\ndata: [DONE]\n\n".encode())

    return behave


async def down(answer: Answer) -> None:
    await answer.whole(503, "application/json", b"{}")


async def speaking(answer: Answer) -> None:
    await answer.whole(200, "audio/pcm", b"\1\0" * 2_400)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def file_of(
    stack: AsyncExitStack,
    folder: Path,
    profiles: str,
    default: str = "only",
    **behaviours: Behaviour,
) -> tuple[Profiles, dict[str, Vendor]]:
    """A file with a vendor for each behaviour; `mouth…` speaks, the others chat."""
    vendors: dict[str, Vendor] = {}
    tables = f'default_profile = "{default}"\n'
    tables += '[recognizers.ears]\nkind = "openai"\nbase_url = "http://127.0.0.1:9/v1"\n'
    for name, behaviour in behaviours.items():
        vendors[name] = await stack.enter_async_context(scripted_vendor(behaviour))
        stage = "synthesizers" if name.startswith("mouth") else "chats"
        tables += f'[{stage}.{name}]\nkind = "openai"\nbase_url = "{vendors[name].base_url}"\n'
        tables += 'voices = ["anna", "bert"]\n' if stage == "synthesizers" else ""
        tables += "price = { per_million_output_tokens = 1 }\n" if stage == "chats" else ""
    path = folder / "providers.toml"
    path.write_text(f"{tables}{profiles}", encoding="utf-8")
    return read_providers_file(path, {}), vendors


async def opened(stack: AsyncExitStack, profiles: Profiles) -> dict[str, Trio]:
    opening = open_profiles(
        profiles, open_store(LIBRARY), LIBRARY, threads=1, outage=OutageRules(), read_ahead=()
    )
    return dict(await stack.enter_async_context(opening))


async def asked(chat: ChatModel | None, told: list[Usage]) -> str:
    assert chat is not None
    message = ChatMessage(role=Role.USER, content="Why?")
    request = ChatRequest(messages=(message,), on_usage=told.append)
    return "".join([each async for each in chat.stream(request) if isinstance(each, str)])


async def test_the_third_of_a_chain_replies_and_all_that_were_asked_are_counted(
    stack: AsyncExitStack, tmp_path: Path
) -> None:
    profiles, vendors = await file_of(
        stack,
        tmp_path,
        '[profiles.only]\nrecognizer = "ears"\nchat = ["one", "two", "three"]\n'
        'synthesizer = "mouth"\n',
        one=down,
        two=down,
        three=replying("Because."),
        mouth=speaking,
    )
    told: list[Usage] = []
    assert await asked((await opened(stack, profiles))["only"].chat, told) == "Because."
    assert [len(vendors[name].requests) for name in ("one", "two", "three")] == [1, 1, 1]
    assert [each.provider for each in told] == ["one", "two", "three"]
    assert [each.cost_micros for each in told] == [0, 0, told[2].output_tokens]


async def test_profiles_share_what_they_have_in_common(
    stack: AsyncExitStack, tmp_path: Path
) -> None:
    common = 'recognizer = "ears"\nsynthesizer = ["mouth", "mouth2"]\n'
    profiles, vendors = await file_of(
        stack,
        tmp_path,
        f'[profiles.a]\n{common}chat = ["one", "two"]\n'
        f'[profiles.b]\n{common}chat = ["one", "two"]\n'
        f'[profiles.c]\n{common}chat = "two"\n'
        '[profiles.c.voices.mouth2]\nanna = "bert"\n',
        default="a",
        one=replying("One."),
        two=replying("Two."),
        mouth=down,
        mouth2=speaking,
    )
    trios = await opened(stack, profiles)
    assert trios["a"].chat is trios["b"].chat
    assert trios["a"].synthesizer is trios["b"].synthesizer
    assert trios["a"].synthesizer is not trios["c"].synthesizer
    assert [await asked(trios[name].chat, []) for name in "abc"] == ["One.", "One.", "Two."]
    for name in "ac":
        request = SpeechRequest(voice_id="anna", language_code="en", emotion="sad")
        assert [each async for each in trios[name].synthesizer.speak(once("Hi."), request)]
    spoken = [json.loads(each.body) for each in vendors["mouth2"].requests]
    assert [each["voice"] for each in spoken] == ["anna", "bert"]
    # Another synthesizer of the same vendor knows the names of emotions.
    assert [each["instructions"] for each in spoken] == ["sad", "sad"]


async def test_a_profile_that_no_persona_chooses_is_not_opened(
    stack: AsyncExitStack, tmp_path: Path
) -> None:
    served = 'recognizer = "ears"\nsynthesizer = "mouth"\n'
    profiles, _ = await file_of(
        stack,
        tmp_path,
        f'[profiles.a]\n{served}chat = "one"\n[profiles.b]\n{served}chat = "one"\n'
        f'[profiles.c]\n{served}chat = "one"\n',
        default="b",
        one=replying("One."),
        mouth=speaking,
    )
    assert profiles.only({"c"}).by_name.keys() == {"b", "c"}


async def test_a_persona_is_served_by_its_profile() -> None:
    school = Trio(
        recognizer=ScriptedRecognizer(hypotheses=("what is two and two",)),
        chat=ScriptedChat(deltas=("It is four.",)),
        synthesizer=ScriptedSynthesizer(
            sample_rate_hertz=16_000,
            voices=(Voice(voice_id="tess", display_name="Tess", language_codes=("en",)),),
        ),
    )
    script = Script(tutor=school, chat=ScriptedChat(deltas=("I am the host.",)))
    async with speech_rig(script) as rig:
        async with Talk.open(rig, setup(persona_id="tutor")) as talk:
            assert talk.ready is not None
            assert talk.ready.voice_id == "tess"
            assert talk.ready.output_format.sample_rate_hertz == 16_000
            await talk.send(*audio(silent(0.5) + voiced(1) + silent(0.5)), COMMIT)
            await talk.finish()
            assert talk.last("turn_started").user_text == "what is two and two"
            assert talk.last("turn_finished").reply_text == "It is four."
        async with Talk.open(rig, setup(persona_id="host")) as talk:
            assert talk.ready is not None
            assert talk.ready.voice_id == "anna"
            await talk.send(text("Who are you?"))
            await talk.finish()
            assert talk.last("turn_finished").reply_text == "I am the host."
