"""The wanted voice speaks, else one that knows the language."""

import pytest

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.speech.ports.synthesis import Voice
from services.speech.voices import choose_voice

VOICES = (
    Voice(voice_id="anna", display_name="Anna", language_codes=("en-US",)),
    Voice(voice_id="emma", display_name="Emma", language_codes=("en-GB",)),
    Voice(voice_id="wei", display_name="Wei", language_codes=("zh",)),
)
POLYGLOT = (Voice(voice_id="coral", display_name="Coral", language_codes=()),)


@pytest.mark.parametrize(
    ("language_code", "wanted", "preferred", "found"),
    [
        ("en", "", "", "anna"),
        ("en", "", "emma", "emma"),
        ("en", "emma", "anna", "emma"),
        ("zh-CN", "", "anna", "wei"),
        ("en", "", "somebody of another provider", "anna"),
    ],
)
def test_a_voice_is_chosen(language_code: str, wanted: str, preferred: str, found: str) -> None:
    voice = choose_voice(VOICES, language_code, wanted=wanted, preferred=preferred)
    assert voice.voice_id == found


def test_a_voice_without_languages_speaks_any() -> None:
    assert choose_voice(POLYGLOT, "sw", preferred="anna").voice_id == "coral"


@pytest.mark.parametrize(
    ("language_code", "wanted", "reason"),
    [
        ("fr", "", Reason.LANGUAGE_UNSUPPORTED),
        ("zh", "anna", Reason.LANGUAGE_UNSUPPORTED),
        ("en", "nobody", Reason.VOICE_NOT_FOUND),
    ],
)
def test_unknown_voices_and_languages_are_refused(
    language_code: str, wanted: str, reason: Reason
) -> None:
    with pytest.raises(ServiceError) as failure:
        choose_voice(VOICES, language_code, wanted=wanted)
    assert failure.value.reason is reason
