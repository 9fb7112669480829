"""What a pattern needs is in every text that it matches; rules without it are not tried."""

import re

import pytest

from services.speech.text import chinese, english, unspoken
from services.speech.text.alignment import Rule
from services.speech.text.needs import ANY, characters_of, needed_by


@pytest.mark.parametrize(
    ("pattern", "needed"),
    [
        (r"\d+ km", "0123456789"),
        (r"(?<=\d)%", "%"),
        (r"(?:€|\$)?\d", "0123456789"),
        (r"a(?=/)", "/"),
        (r"a(?!/)", "a"),
        (r"x|#\d", "x#"),
        (r"(?:ab|a#)", "a"),
        (r"(?i:K)", "kK"),
        (r"(?i:[^kx])\b", "".join(set(map(chr, range(129))) - set("kKxX"))),
        (r"[,.]\s{0,2}", ",."),
        (r"[^\W_]-", "-"),
        ("[。！]", "。"),
        ("[!-~]{2}", "".join(map(chr, range(33, 127)))),
    ],
)
def test_a_match_has_one_of_these_characters(pattern: str, needed: str) -> None:
    assert needed_by(re.compile(pattern, re.ASCII)) == characters_of(needed)


@pytest.mark.parametrize("pattern", [r"^", r"\b", r"(?:a|)", r"a*", r"[a-z]?", r".", r"(?!\d)"])
def test_what_can_match_anything_needs_nothing(pattern: str) -> None:
    assert needed_by(re.compile(pattern, re.ASCII)) == ANY


@pytest.mark.parametrize("rules", [english.RULES, chinese.RULES, unspoken.UNSPOKEN])
def test_plain_words_are_read_by_few_rules(rules: tuple[Rule, ...]) -> None:
    present = characters_of("I am happy to tell you more about that, if you have a minute.")
    assert sum(bool(rule.needs & present) for rule in rules) < len(rules) / 5


def test_a_pattern_of_other_classes_than_those_of_ascii_is_refused() -> None:
    with pytest.raises(AssertionError, match="ASCII"):
        needed_by(re.compile(r"\d"))
