"""Every operation is found, in signs and in words, and a text without one is not searched."""

from fractions import Fraction

import pytest

from services.speech.dialogue.sums import sums


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("six plus seven", 13),
        ("6+7", 13),
        ("six added to seven", 13),
        ("Six and seven makes thirteen.", 13),
        ("六加七", 13),
        ("六加上七", 13),
        ("9 - 4", 5),
        ("nine − four", 5),
        ("nine minus four", 5),
        ("nine less four", 5),
        ("九减四", 5),
        ("九减去四", 5),
        ("6*7", 42),
        ("6 × 7", 42),
        ("6x7", 42),
        ("6·7", 42),
        ("six times seven", 42),
        ("SIX MULTIPLIED BY SEVEN", 42),
        ("六乘七", 42),
        ("六乘以七", 42),
        ("42/7", 6),
        ("42 ÷ 7", 6),
        ("forty-two divided by seven", 6),
        ("forty-two over seven", 6),
        ("四十二除以七", 6),
        ("half of thirty", 15),
        ("two thirds of nine", 6),
        ("10% of 50", 5),
        ("三十的一半", 15),
        ("double six", 12),
        ("twice six", 12),
        ("triple six", 18),
        ("square of six", 36),
        ("six squared", 36),
        ("6²", 36),
        ("六的平方", 36),
        ("cube of two", 8),
        ("two cubed", 8),
        ("2³", 8),
        ("二的立方", 8),
        ("square root of nine", 3),
        ("√9", 3),
        ("九的平方根", 3),
        ("the sum of six and seven", 13),
        ("add six to seven", 13),
        ("the difference between nine and four", 5),
        ("subtract four from nine", 5),
        ("take four from nine", 5),
        ("the product of six and seven", 42),
        ("multiply six by seven", 42),
        ("divide forty-two by seven", 6),
        ("a third of nine", 3),
        ("three quarters of eight", 6),
    ],
)
def test_each_operation_is_found(text: str, result: int) -> None:
    [found] = sums(text)
    assert found.result == Fraction(result)


@pytest.mark.parametrize(
    "text",
    [
        "I will gladly show you the way.",
        "Tell me more about number 11.",
        "It is open from nine until five.",
        "The sum of it all, and the difference.",
        "我们九点开门。",
    ],
)
def test_what_names_no_sum_has_none(text: str) -> None:
    assert sums(text) == ()
