"""Personas are read from files, and a wrong file is named with its field."""

from pathlib import Path

import pytest

from services.runtime.errors import ServiceError
from services.runtime.reasons import Reason
from services.speech.personas import PersonaError, load_personas
from services.speech.settings import PERSONAS

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


def test_others_are_refused(tmp_path: Path) -> None:
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
def test_a_wrong_field_is_named(tmp_path: Path, old: str, new: str, field: str) -> None:
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
    (tmp_path / "No Name.toml").write_text(GOOD)
    with pytest.raises(PersonaError, match="lower-case"):
        load_personas(tmp_path, default_id="host")
