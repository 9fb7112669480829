"""The error rates that model tests rely on."""

import pytest

from tests.support.wer import character_error_rate, word_error_rate


@pytest.mark.parametrize(
    ("reference", "hypothesis", "rate"),
    [
        ("ten of clubs", "10 of clubs.", 0),
        ("mr john dashwood", "Mr. John Dashwood", 0),
        ("It's forty-two, isn’t it?", "it's 42 isn't it", 0),
        ("one hundred five", "105", 0),
        ("four seven two nine", "4729", 0),
        ("twenty nine dollars", "$29", 0),
        ("one thousand", "1,000", 1.5),
        ("a b c d", "a x c", 0.5),
        ("a", "", 1),
        ("", "", 0),
    ],
)
def test_word_error_rate(reference: str, hypothesis: str, rate: float) -> None:
    assert word_error_rate(reference, hypothesis) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "rate"),
    [
        ("今天的天气怎么样？", "今天的天气怎么样", 0),
        ("第3名", "第三名。", 0),
        ("你好吗", "你号码", 2 / 3),
        ("打开WiFi", "打开 wifi", 0),
    ],
)
def test_character_error_rate(reference: str, hypothesis: str, rate: float) -> None:
    assert character_error_rate(reference, hypothesis) == pytest.approx(rate)
