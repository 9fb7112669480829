"""Numbers are read alike in digits and in words, and names are recognised."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.speech.dialogue.arithmetic import (
    computed_answer,
    has_false_equation,
    has_sum,
    states_wrong_result,
)
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
    ("3/4 of it, 四分之一", [("0.75", ""), ("0.25", "fraction")]),
    ("One half and three halves", [("0.5", "fraction"), ("1.5", "fraction")]),
    ("An hour and a half", [("1.5", "hour"), ("0.5", "")]),
    ("More than a thousand years, or one hour", [("1000", "year"), ("1", "hour")]),
    ("要一个半小时，不是一个小时", [("1.5", "hour"), ("1", "hour")]),
    ("三点五加二，三点五十开始", [("3.5", ""), ("2", ""), ("3", "clock"), ("50", "")]),
    ("On the second of two floors", [("2", "storey")]),
]


@pytest.mark.parametrize(("text", "read"), READ)
def test_numbers_are_read_with_their_units(text: str, read: list[tuple[str, str]]) -> None:
    found = [(value.amount, value.unit) for value in values(text)]
    assert found == [(Fraction(amount), unit) for amount, unit in read]


def test_values_agree_where_their_units_do_not_differ() -> None:
    price = Value(amount=Fraction(12), unit="dollar")
    assert price.agrees(Value(amount=Fraction(12)))
    assert not price.agrees(Value(amount=Fraction(12), unit="euro"))
    assert not price.agrees(Value(amount=Fraction(13), unit="dollar"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It was made by Isaac Newton in London.", ("Isaac", "Newton", "London")),
        ("Hello! Lovely day. I'm fine, OK?", ()),
        ("On Monday it is closed.", ()),
        ("馆长是王建国先生。", ("王建国",)),
        ("太棒了！谢谢你，祝你好运！安静一会儿吧，宝贝。", ()),
        ("谢谢您的赞美，祝您和家人安康！欢迎惠顾，真是荣幸。", ()),
        ("莎士比亚写的。", ("莎士比亚",)),
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
        ("Half of thirty is fifteen.", False),
        ("Half of thirty is twelve.", True),
        ("Double 8 is 18.", True),
        ("Three sixths and two sixths make five sixths.", False),
        ("A third and a half make two fifths.", True),
        ("Ten divided by three is about 3.33.", False),
        ("三的平方是六。", True),
        ("五十的百分之二十等于十。", False),
        ("四分之三减二分之一等于二分之一。", True),
    ],
)
def test_results_of_sums_are_checked(text: str, is_false: bool) -> None:
    assert has_false_equation(text) is is_false


ASKED = [
    ("What is a quarter plus a half?", "3/4"),
    ("How much is three quarters minus a half?", "1/4"),
    ("What's 1.5 + 2.25?", "3.75"),
    ("What is 20 percent of 50?", "10"),
    ("15% of 60", "9"),
    ("What is half of thirty?", "15"),
    ("What's double 8?", "16"),
    ("What is two plus three times four?", "14"),
    ("(2 + 3) * 4 = ?", "20"),
    ("What is 12-5?", "7"),
    ("Please tell me the square root of 81.", "9"),
    ("What is five squared?", "25"),
    ("Subtract 3 from ten.", "7"),
    ("What do you get if you add a half and a third?", "5/6"),
    ("What is the difference between 10 and 12?", "-2"),
    ("What is 10 divided by 4?", "2.5"),
    ("What is 10 divided by 3?", "about 3.33"),
    ("What is two hundred and eighty times two?", "560"),
    ("Is six times seven forty-four?", "42"),
    ("Is 7 times 8 equal to 54?", "56"),
    ("一百减三十七等于多少？", "63"),
    ("四分之一加一半是多少？", "3/4"),
    ("三的平方是多少", "9"),
    ("三十的一半是多少？", "15"),
    ("50的20%是多少？", "10"),
    ("五十的百分之二十等于几", "10"),
    ("八的两倍是多少？", "16"),
    ("三点五加一点五等于几？", "5"),
    ("七乘八是不是五十四？", "56"),
]


@pytest.mark.parametrize(("question", "result"), ASKED)
def test_a_question_for_a_sum_is_answered_by_its_result(question: str, result: str) -> None:
    answer = computed_answer(question)
    assert answer in (
        f"The answer is {result}.",
        f"答案是{result}。",
    )


@pytest.mark.parametrize(
    "question",
    [
        "Are you open 9-5?",
        "Is it 9-5?",
        "How much are 2 x 12 dollar tickets?",
        "Tom has three apples and a half.",
        "What is the square root of 10?",
        "What is 10 divided by 0?",
        "What is 3 plus 4, and when do you open?",
        "门票一共多少钱？",
        "三加四等于几，几点开门？",
    ],
)
def test_a_question_for_more_than_a_sum_is_not_computed(question: str) -> None:
    assert computed_answer(question) is None


@pytest.mark.parametrize(
    "text",
    [
        "What is " + "9" * 6_000 + " times 2?",
        "九" * 6_000 + "加二等于几？",
        "1/" + "9" * 6_000,
        "一" * 6_000 + "分之一",
        "What is 9" + "²" * 200 + "?",
        "What is " + "(" * 2_000 + "1 + 1",
        "What is " + "half of " * 2_000 + "two?",
        "double " * 2_000 + "two",
        "算一下" * 500 + "二加二，算不了",
        "What is the answer to " * 300 + "2 + 2, and why?",
        "1 + " * 2_000 + "1",
    ],
)
def test_very_long_numbers_are_read_in_bounded_time(text: str) -> None:
    values(text)
    assert computed_answer(text) in (None, "The answer is 2001.")


_PIECES = """
a half third quarters and of plus minus times divided by squared square root 3 4 0 1/4 0/0 3.5
20% percent two twenty hundred thousand million double sum difference between subtract from is
( ) + - * / = ² √ 零 一 三 十 百 万 半 点 分之 百分之 的 平方 平方根 倍 加 减 乘 除以 等于 个半
小时 周 ? . ,
"""


@given(st.lists(st.sampled_from(_PIECES.split()), max_size=12), st.sampled_from(["", " "]))
@settings(max_examples=150, deadline=None)
def test_any_text_can_be_read(pieces: list[str], space: str) -> None:
    text = space.join(pieces)
    values(text)
    computed_answer(text)
    has_false_equation(text)
    states_wrong_result(text, text)


def test_what_counts_as_a_sum() -> None:
    assert has_sum("What is 6 x 7?")
    assert not has_sum("It opens at nine and closes at six.")
    assert not has_sum("How much is it for 2-3 hours?")


def test_words_are_recognised_in_other_forms() -> None:
    known = Vocabulary(["The members park in the garage.", "停车场在入口旁边"])
    assert known.missing(content_words("Parking for members and a membership")) == ()
    assert known.missing(content_words("A dog in the garage")) == ("dog",)
    assert known.missing(content_words("停车的入口")) == ()
    assert Vocabulary(["老人半价"]).missing(content_words("老年人")) == ()
    assert known.missing(content_words("行李寄存")) == ("行李", "寄存")


def test_sentences_joined_are_the_text() -> None:
    text = 'It is 3.5 km. "Really?" Yes! 好的。走吧'
    assert sentences(text) == ["It is 3.5 km.", ' "Really?"', " Yes!", " 好的。", "走吧"]
