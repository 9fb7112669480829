"""A language other than the conversation's is recognised; a foreign word does not count."""

import pytest

from services.speech.dialogue.other_language import (
    joined,
    language_at,
    language_refusal,
    other_language,
)
from services.speech.personas.catalogue import PersonaLanguage
from services.speech.ports.recognition import Transcript


def heard(text: str, language_code: str = "") -> Transcript:
    return Transcript(text=text, is_final=True, language_code=language_code)


@pytest.mark.parametrize(
    ("transcript", "language_code", "other"),
    [
        (heard("你们几点开门？"), "en", "zh"),
        (heard("你们几点开门？", "zh"), "en-US", "zh"),
        (heard("请问 iPhone 多少钱"), "en", "zh"),
        (heard("When do you open?"), "zh-CN", "en"),
        (heard("When do you open?", "en"), "zh-CN", "en"),
        (heard("Wann macht ihr auf?", "de"), "en", "de"),
        (heard("我想买 iPhone"), "zh", ""),
        (heard("我想买 iPhone", "zh"), "zh-CN", ""),
        (heard("iPhone 16 Pro"), "zh", ""),
        (heard("OK"), "zh", ""),
        (heard("Hello, thank you."), "zh", ""),
        (heard("When do you open?"), "en", ""),
        (heard("When do you open?", "en"), "en-GB", ""),
        (heard("How do I get to 故宫?"), "en", ""),
        (heard("What does 你好吗 mean in English, please?"), "en", ""),
        (heard("営業時間は何時ですか"), "ja", ""),
        (heard(""), "en", ""),
    ],
)
def test_another_language_is_recognised(
    transcript: Transcript, language_code: str, other: str
) -> None:
    assert other_language(transcript, language_code) == other


def persona(language_code: str, reply: str = "") -> PersonaLanguage:
    return PersonaLanguage(
        language_code=language_code,
        voice_id="anna",
        prompt="p",
        greeting="g",
        sample_question="q",
        knowledge=(),
        other_language_reply=reply,
    )


@pytest.mark.parametrize(
    ("language", "other", "texts"),
    [
        (
            persona("en-US"),
            "zh",
            ["Sorry, I only speak English here.", "抱歉，我在这里只会说英语。"],
        ),
        (
            persona("zh-CN"),
            "en",
            ["抱歉，我在这里只会说中文。", "Sorry, I only speak Chinese here."],
        ),
        (persona("en"), "fr", ["Sorry, I only speak English here."]),
        (persona("de"), "fr", []),
        (persona("de", "Hier nur Deutsch, bitte."), "fr", ["Hier nur Deutsch, bitte."]),
    ],
)
def test_the_refusal_is_in_both_languages(
    language: PersonaLanguage, other: str, texts: list[str]
) -> None:
    refusal = language_refusal(language, other)
    assert [each.text for each in refusal] == texts
    end = 0
    for each in refusal:
        end += len(each.text) + 1
        assert language_at(end, refusal) == each.language_code
    assert len(joined(refusal)) == max(0, end - 1)
    assert language_at(end + 1, refusal) == ""
