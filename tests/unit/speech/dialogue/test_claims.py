"""Numbers are the same in digits and in words; names are told from other words."""

from decimal import Decimal

import pytest

from services.speech.dialogue.arithmetic import has_false_equation, has_sum
from services.speech.dialogue.claims import Value, names, values
from services.speech.dialogue.words import Vocabulary, content_words, sentences

READ = [
    ("It is nineteen dollars.", [("19", "dollar")]),
    ("It is $19.50, or 1,200 euros.", [("19.50", "dollar"), ("1200", "euro")]),
    ("About nineteen hundred years", [("1900", "year")]),
    ("Two hundred and eighty years", [("280", "year")]),
    ("It was in eighteen twenty-two.", [("1822", "")]),
    ("From nine in the morning until 8", [("9", "clock"), ("8", "clock")]),
    ("At 19:30, or 7 pm", [("19.5", "clock"), ("7", "clock")]),
    ("On the third floor", [("3", "floor")]),
    ("One of them came first.", []),
    ("Half an hour", [("30", "minute")]),
    ("3.5 million people", [("3500000", "")]),
    ("two, three", [("2", ""), ("3", "")]),
    ("Ten percent on Monday", [("10", "percent"), ("0", "weekday")]),
    ("每个月九十九元，打九折", [("99", "yuan"), ("9", "discount")]),
    ("下午四点半，星期天", [("6", "weekday"), ("4.5", "clock")]),
    ("一千九百年", [("1900", "year")]),
    ("一九九五年", [("1995", "year")]),
    ("12元，百分之二十", [("12", "yuan"), ("20", "percent")]),
    ("一起来，十分高兴，一下就好", []),
    ("二十分钟", [("20", "minute")]),
    ("三分钟", [("3", "minute")]),
    ("百分之二十", [("20", "percent")]),
    ("四分之三的人", [("0.75", "fraction")]),
    ("Cut it into quarters.", [("0.25", "fraction")]),
    ("A quarter is left.", [("0.25", "fraction")]),
    ("Two fifths, or 4 tenths.", [("0.4", "fraction"), ("0.4", "fraction")]),
    ("It is a quarter past nine.", [("9", "")]),
]


@pytest.mark.parametrize(("text", "read"), READ)
def test_numbers_are_read_with_their_units(text: str, read: list[tuple[str, str]]) -> None:
    found = [(value.amount, value.unit) for value in values(text)]
    assert found == [(Decimal(amount), unit) for amount, unit in read]


def test_values_agree_where_their_units_do_not_differ() -> None:
    price = Value(amount=Decimal(12), unit="dollar")
    assert price.agrees(Value(amount=Decimal(12)))
    assert not price.agrees(Value(amount=Decimal(12), unit="euro"))
    assert not price.agrees(Value(amount=Decimal(13), unit="dollar"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It was made by Isaac Newton in London.", ("Isaac", "Newton", "London")),
        ("Hello! Lovely day. I'm fine, OK?", ()),
        ("On Monday it is closed.", ()),
        ("馆长是王建国先生。", ("王建国",)),
    ],
)
def test_names(text: str, found: tuple[str, ...]) -> None:
    assert names(text) == found


@pytest.mark.parametrize(
    ("text", "is_false"),
    [
        ("Six times seven is forty-two.", False),
        ("Six times seven is forty-one.", True),
        ("12 + 29 = 41", False),
        ("12 + 29 = 40", True),
        ("100 divided by 4 equals 25.", False),
        ("15 percent of 60 is 10.", True),
        ("12 plus 30 is 42, minus 1 is 41.", False),
        ("七乘八等于五十六。", False),
        ("七乘八等于五十四。", True),
        ("Two lifts and three floors are here.", False),
    ],
)
def test_sums_are_worked_out(text: str, is_false: bool) -> None:
    assert has_false_equation(text) is is_false


def test_what_is_no_sum() -> None:
    assert has_sum("What is 6 x 7?")
    assert not has_sum("It opens at nine and closes at six.")


def test_words_are_known_in_other_forms() -> None:
    known = Vocabulary(["The members park in the garage.", "停车场在入口旁边"])
    assert known.missing(content_words("Parking for members and a membership")) == ()
    assert known.missing(content_words("A dog in the garage")) == ("dog",)
    assert known.missing(content_words("停车的入口")) == ()
    assert known.missing(content_words("行李寄存")) == ("行李", "寄存")


def test_sentences_joined_are_the_text() -> None:
    text = 'It is 3.5 km. "Really?" Yes! 好的。走吧'
    assert sentences(text) == ["It is 3.5 km.", ' "Really?"', " Yes!", " 好的。", "走吧"]
