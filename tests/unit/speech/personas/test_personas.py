"""Personas are read from files, and the fault of an invalid file names its field."""

from pathlib import Path

import pytest

from engine.tasks.digital_humans import DIGITAL_HUMANS
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.runtime.settings.environment import load
from services.speech.dialogue.call import CallFacts, in_call
from services.speech.personas.catalogue import load_persona, load_personas
from services.speech.personas.format import Grounding, PersonaError
from services.speech.personas.wire import to_persona
from services.speech.ports.synthesis import Voice
from services.speech.profiles.choice import choose_profiles
from services.speech.providers.checks import voice_offer
from services.speech.settings import PERSONAS, SpeechSettings
from services.speech.voices import VoiceOffer, any_language

GOOD = """
display_name = "Host"
description = "Hosts."

[languages.en-US]
voice = "anna"
prompt = "You are a host."
greeting = "Welcome."
sample_question = "When?"
knowledge = [ { questions = ["When?", "At what time?"], answer = "Now." } ]
"""


def test_the_personas_of_the_product_are_complete() -> None:
    personas = load_personas(PERSONAS, default_id="concierge")
    assert set(personas.by_id) >= {"concierge", "museum-guide", "teaching-assistant", "companion"}
    for persona in personas.by_id.values():
        assert [language.language_code for language in persona.languages] == ["en", "zh"]
        for language in persona.languages:
            assert 12 <= len(language.knowledge) <= 25
            answers = [fact.answer for fact in language.knowledge]
            assert len(set(answers)) == len(answers)
            asked = [question for fact in language.knowledge for question in fact.questions]
            assert len(set(asked)) == len(asked)
            assert language.sample_question in asked
            for text in (*answers, language.greeting):
                assert not set(text) & set("*#`_[]<>0123456789")


@pytest.mark.parametrize(
    ("language_code", "found"),
    [("", "en-US"), ("en-US", "en-US"), ("EN-us", "en-US"), ("en", "en-US"), ("en-GB", "en-US")],
)
def test_a_language_is_found_whatever_its_region(
    tmp_path: Path, language_code: str, found: str
) -> None:
    (tmp_path / "host.toml").write_text(GOOD)
    persona = load_personas(tmp_path, default_id="host").get("")
    assert persona.speaking(language_code).language_code == found


def test_unknown_languages_and_personas_are_refused(tmp_path: Path) -> None:
    (tmp_path / "host.toml").write_text(GOOD)
    personas = load_personas(tmp_path, default_id="host")
    with pytest.raises(ServiceError, match="fr") as failure:
        personas.get("host").speaking("fr-FR")
    assert failure.value.reason is Reason.LANGUAGE_UNSUPPORTED
    with pytest.raises(ServiceError, match="nobody") as failure:
        personas.get("nobody")
    assert failure.value.reason is Reason.PERSONA_NOT_FOUND


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('display_name = "Host"', "", "display_name"),
        ('description = "Hosts."', "description = 1", "description"),
        ('voice = "anna"', "", "languages.en-US.voice"),
        ('prompt = "You are a host."', 'prompt = " "', "languages.en-US.prompt"),
        ('greeting = "Welcome."', 'greting = "Welcome."', "languages.en-US.greting"),
        ('answer = "Now."', 'answer = ""', "languages.en-US.knowledge[0].answer"),
        ('["When?", "At what time?"]', "[]", "languages.en-US.knowledge[0].questions"),
        ('["When?", "At what time?"]', '"When?"', "languages.en-US.knowledge[0].questions"),
        ("[languages.en-US]", "[languages.English_]", "languages.English_"),
        ("[languages.en-US]", "[tongues.en-US]", "languages"),
        ("display_name", "= x", "TOML"),
    ],
)
def test_an_invalid_field_is_named(tmp_path: Path, old: str, new: str, field: str) -> None:
    assert old in GOOD
    (tmp_path / "host.toml").write_text(GOOD.replace(old, new))
    with pytest.raises(PersonaError) as failure:
        load_personas(tmp_path, default_id="host")
    assert "host.toml" in str(failure.value)
    assert field in str(failure.value)


def test_files_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(PersonaError, match="no persona file"):
        load_personas(tmp_path, default_id="host")
    (tmp_path / "host.toml").write_text(GOOD)
    with pytest.raises(PersonaError, match=r"other\.toml is missing"):
        load_personas(tmp_path, default_id="other")


def test_an_invalid_file_is_left_out_and_the_others_work(tmp_path: Path) -> None:
    (tmp_path / "host.toml").write_text(GOOD)
    (tmp_path / "No Name.toml").write_text(GOOD)
    (tmp_path / "broken.toml").write_text("= x")
    personas = load_personas(tmp_path, default_id="host")
    assert list(personas.by_id) == ["host"]
    no_name, broken = personas.left_out
    assert "lower-case" in str(no_name)
    assert "not TOML" in str(broken)
    with pytest.raises(PersonaError, match="not TOML"):
        load_personas(tmp_path, default_id="broken")


def test_all_faults_of_a_file_are_reported_at_once_in_plain_words(tmp_path: Path) -> None:
    path = tmp_path / "host.toml"
    path.write_text(
        """
display_name = ""
descripton = "Hosts."
digital_human = 3
languages.en = { voice = { embeded = "anna" }, prompt = 3, greeting = "Hi.", knowledge = [
  { question = ["When?"], answer = "Now." }, 3 ] }
languages.English_.voice = "anna"
listening = { onset_probability = 2, no_speach_s = 3, barge_in_s = "0.5" }
"""
    )
    with pytest.raises(PersonaError) as failure:
        load_persona(path)
    faults = [fault.removeprefix(f"{path}: ") for fault in failure.value.faults]
    fields = {fault.partition(": ")[0] for fault in faults}
    assert fields >= {
        "display_name",
        "description",
        "descripton",
        "digital_human",
        "languages.en.voice",
        "languages.en.prompt",
        "languages.en.sample_question",
        "languages.en.knowledge[0].questions",
        "languages.en.knowledge[0].question",
        "languages.en.knowledge[1]",
        "languages.English_",
        "listening.onset_probability",
        "listening.no_speach_s",
        "listening.barge_in_s",
    }
    assert "display_name: must not be empty" in faults
    assert "listening.onset_probability: must be at most 1" in faults
    assert any("expected one of" in fault and "no_speech_s" in fault for fault in faults)
    for fault in faults:
        assert not set(fault) & set("\\^$*?")


def test_a_voice_must_be_one_that_the_synthesizer_offers(tmp_path: Path) -> None:
    path = tmp_path / "host.toml"
    path.write_text(GOOD)
    anna = Voice(voice_id="anna", display_name="Anna", language_codes=("en-GB",))
    bela = Voice(voice_id="bela", display_name="Bela", language_codes=("zh-CN",))
    offer = VoiceOffer(synthesizer="embedded", voices=(anna, bela))
    assert load_persona(path, offer=offer).languages[0].voice_id == "anna"
    for named, rule in (
        ('"carl"', "there is no voice carl; the synthesizer offers anna, bela"),
        ('"bela"', "the voice bela does not speak en-US"),
        ('{ embedded = "carl" }', "there is no voice carl"),
    ):
        path.write_text(GOOD.replace('"anna"', named))
        with pytest.raises(PersonaError, match=rf"languages.en-US.voice: {rule}"):
            load_persona(path, offer=offer)
    path.write_text(GOOD.replace("en-US", "sw"))
    with pytest.raises(PersonaError, match=r"languages\.sw\.voice: "):
        load_persona(path, offer=offer)


def test_a_voice_may_be_named_for_each_synthesizer(tmp_path: Path) -> None:
    path = tmp_path / "host.toml"
    path.write_text(GOOD.replace('"anna"', '{ embedded = "anna" }'))
    coral = Voice(voice_id="coral", display_name="Coral", language_codes=())
    offer = VoiceOffer(synthesizer="openai", voices=(coral,))
    assert load_persona(path, offer=offer).languages[0].voice_id == ""


def test_names_may_be_localised(tmp_path: Path) -> None:
    path = tmp_path / "host.toml"
    path.write_text(GOOD.replace("[languages.en-US]", '[languages.en-US]\ndisplay_name = "Ho"'))
    shown = to_persona(load_persona(path))
    assert dict(shown.display_names) == {"en-US": "Ho"}
    assert dict(shown.descriptions) == {"en-US": "Hosts."}


def test_no_persona_of_the_product_has_the_name_of_a_digital_human() -> None:
    personas = load_personas(
        PERSONAS, default_id="concierge", offer=voice_offer(choose_profiles(load(SpeechSettings)))
    )
    assert not personas.left_out
    people = {person.digital_human_id: person.name for person in DIGITAL_HUMANS}
    for persona in personas.by_id.values():
        assert persona.digital_human_id in people
        assert persona.display_name not in people.values()
        assert persona.display_name in persona.languages[0].greeting


def test_a_persona_is_strict_unless_its_file_says_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "host.toml"
    path.write_text(GOOD)
    assert load_persona(path).grounding is Grounding.STRICT
    path.write_text('grounding = "names-and-numbers"\n' + GOOD)
    assert load_persona(path).grounding is Grounding.NAMES_AND_NUMBERS
    path.write_text('grounding = "loose"\n' + GOOD)
    with pytest.raises(PersonaError, match="grounding: must be one of 'strict'"):
        load_persona(path)


def test_a_persona_says_how_it_speaks_and_what_it_expects_to_hear(tmp_path: Path) -> None:
    path = tmp_path / "host.toml"
    delivery = 'hot_words = ["Parley"]\ndelivery = { speed = 1.2, style = "chat" }\nprompt ='
    path.write_text(GOOD.replace("prompt =", delivery, 1))
    [language] = load_persona(path).languages
    assert (language.speed, language.style, language.emotion) == (1.2, "chat", "")
    assert language.hot_words == ("Parley",)
    offer = VoiceOffer(synthesizer="azure", voices=any_language(["anna"]))
    by_vendor = 'style = { azure = "chat" }, emotion = { minimax = "sad" }'
    path.write_text(GOOD.replace("prompt =", f"delivery = {{ {by_vendor} }}\nprompt =", 1))
    [language] = load_persona(path, offer=offer).languages
    assert (language.style, language.emotion) == ("chat", "")
    path.write_text(GOOD.replace("prompt =", "delivery = { speed = 3, sytle = 1 }\nprompt =", 1))
    with pytest.raises(PersonaError) as failure:
        load_persona(path)
    assert [fault.removeprefix(f"{path}: ") for fault in failure.value.faults] == [
        "languages.en-US.delivery.speed: must be at most 2",
        "languages.en-US.delivery.sytle: is unknown; expected one of speed, style, emotion",
    ]


def test_the_faults_of_tools_are_named(tmp_path: Path) -> None:
    path = tmp_path / "host.toml"
    path.write_text(
        GOOD
        + """
[tools]
filer_after_s = 1.0
[[tools.http]]
name = "9 lives"
description = ""
url = "example.com"
method = "LOOK"
parameters = { type = "array" }
[[tools.mcp]]
name = "nowhere"
[[tools.mcp]]
name = "both"
url = "https://example.com/mcp"
command = ["server"]
[[tools.client]]
name = "show"
description = "Shows."
parameters = { type = "object", properties = { day = { type = "sting" } } }
timeout_s = 0
"""
    )
    with pytest.raises(PersonaError) as failure:
        load_persona(path)
    faults = [fault.removeprefix(f"{path}: ") for fault in failure.value.faults]
    assert {fault.partition(": ")[0] for fault in faults} == {
        "tools.filer_after_s",
        "tools.http[0].name",
        "tools.http[0].description",
        "tools.http[0].url",
        "tools.http[0].method",
        "tools.http[0].parameters",
        "tools.mcp[0]",
        "tools.mcp[1]",
        "tools.client[0].parameters",
        "tools.client[0].timeout_s",
    }
    assert any("filler_after_s" in fault for fault in faults)


def test_variables_stand_for_what_is_known_of_a_call(tmp_path: Path) -> None:
    path = tmp_path / "host.toml"
    text = GOOD.replace("Welcome.", "Welcome, {{ name }}.").replace("a host", "{{name}}'s host")
    path.write_text('variables = { name = "friend" }\ngreeting_interruptible = false\n' + text)
    persona = load_persona(path)
    [language] = persona.languages
    assert to_persona(persona).greetings == {"en-US": "Welcome, friend."}
    assert list(to_persona(persona).variable_names) == ["name"]
    assert not persona.is_greeting_interruptible
    known = in_call(persona, language, CallFacts(variables={"name": "Ada", "unused": "x"}))
    assert (known.greeting, known.prompt) == ("Welcome, Ada.", "You are Ada's host.")
    assert in_call(persona, language, CallFacts(greeting="Hi {{name}}")).greeting == "Hi friend"
    assert in_call(persona, language, CallFacts(greeting="")).greeting == ""


def test_a_variable_without_a_default_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "host.toml"
    path.write_text(GOOD.replace("Welcome.", "Welcome, {{name}}."))
    with pytest.raises(PersonaError) as failure:
        load_persona(path)
    assert failure.value.faults == (
        f"{path}: languages.en-US.greeting: uses {{{{name}}}}, which [variables] lacks",
    )
    path.write_text('variables = { Name = "x" }\n' + GOOD)
    with pytest.raises(PersonaError, match="must be a name of up to 32"):
        load_persona(path)


def test_variables_have_their_places_in_tools(tmp_path: Path) -> None:
    path = tmp_path / "host.toml"
    path.write_text(
        GOOD
        + """
[variables]
customer = ""
[[tools.http]]
name = "orders"
description = "Orders."
url = "https://shop.example.com/{{ customer }}/orders"
headers = { "x-customer" = "{{customer}}", "x-shop" = "{{shop}}" }
arguments = { customer = "{{customer}}", most = 5, shop = "{{shop}}" }
[[tools.mcp]]
name = "crm"
url = "https://crm.example.com/mcp"
arguments = { customer = "{{who}}" }
"""
    )
    with pytest.raises(PersonaError) as failure:
        load_persona(path)
    assert [fault.removeprefix(f"{path}: tools.") for fault in failure.value.faults] == [
        "http[0].headers.x-shop: uses {{shop}}, which [variables] lacks",
        "http[0].arguments.shop: uses {{shop}}, which [variables] lacks",
        "mcp[0].arguments.customer: uses {{who}}, which [variables] lacks",
    ]


@pytest.mark.parametrize(
    ("tool", "fault"),
    [
        ('http = [{ url = "https://{{shop}}.example.com/orders" }]', "in its path only"),
        ('http = [{ url = "https://example.com{{shop}}" }]', "in its path only"),
        ('http = [{ url = "{{shop}}/orders" }]', "in its path only"),
        ('http = [{ url = "https://example.com/?shop={{shop}}" }]', "before any ? or #"),
        (
            'http = [{ url = "https://example.com/", arguments = { day = 1 },'
            ' parameters = { type = "object", properties = { day = {} } } }]',
            "has day both in arguments and in parameters",
        ),
        ('mcp = [{ url = "https://example.com/{{shop}}" }]', "must be without variables"),
        (
            'mcp = [{ url = "https://example.com/", headers = { shop = "{{shop}}" } }]',
            "must be without variables",
        ),
    ],
)
def test_variables_do_not_choose_who_is_asked(tmp_path: Path, tool: str, fault: str) -> None:
    path = tmp_path / "host.toml"
    tool = tool.replace("{ url", '{ name = "orders", url', 1)
    if tool.startswith("http"):
        tool = tool.replace("{ name", '{ description = "Orders.", name', 1)
    path.write_text(GOOD + f'[variables]\nshop = "x"\n[tools]\n{tool}\n')
    with pytest.raises(PersonaError) as failure:
        load_persona(path)
    [found] = failure.value.faults
    assert fault in found
