"""What is written becomes what is said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.speech import numerals
from services.speech.speakable import speakable


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("**Sure!** It costs $3.50 😀.", "Sure! It costs three dollars and fifty cents."),
        ("$1 or $1,200 or £2.01", "one dollar or one thousand two hundred dollars"
         " or two pounds and one penny"),
        ("Visit https://www.example.com/a?b=c now", "Visit example dot com now"),
        ("mail info@example.org", "mail info at example dot org"),
        ("open 9:00-17:30", "open nine o'clock to seventeen thirty"),
        ("at 10:05 AM", "at ten oh five a.m."),
        ("until 5pm", "until five p.m."),
        ("in 1998 and 2005", "in nineteen ninety-eight and two thousand five"),
        ("the 23rd and the 12th", "the twenty-third and the twelfth"),
        ("20% of 3km at -5°C", "twenty percent of three kilometers at minus five degrees Celsius"),
        ("# Title\n- one\n2. two `code`", "Title one two code"),
        ("[the link](https://a.example.com/x)", "the link"),
        ("call 555-0142", "call five five five, zero one four two"),
        ("room 007, pages 3-5", "room zero zero seven, pages three to five"),
        ("5 + 3 = 8 & more", "five plus three equals eight and more"),
        ("Dr. Smith, e.g. him", "Doctor Smith, for example him"),
        ("2.5 m", "two point five meters"),
        ("```python\nx\n```", "x"),
        ("👍🏽 ✨", ""),
        ("|a|b|\n|---|---|", "a|b"),
        ("snake_case stays", "snake_case stays"),
    ],
)  # fmt: skip
def test_english(written: str, spoken: str) -> None:
    assert speakable(written, "en-US").text == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("**好的**，票价是￥35.5", "好的，票价是三十五点五元"),
        ("9:30-17:05开放", "九点三十分到十七点零五分开放"),
        ("2026年2月14日", "二零二六年二月十四日"),
        ("增长15%，距离3km", "增长百分之十五，距离三公里"),
        ("气温-5℃", "气温负五摄氏度"),
        ("电话13800138000", "电话一三八零零一三八零零零"),
        ("共10050人，120000元", "共一万零五十人，十二万元"),
        ("2个小时", "两个小时"),
        ("第2层", "第二层"),
        ("请看www.example.com", "请看example点com"),
    ],
)
def test_chinese(written: str, spoken: str) -> None:
    assert speakable(written, "zh-CN").text == spoken


@given(st.text(max_size=100), st.sampled_from(["en", "zh"]))
def test_any_text_can_be_made_speakable(text: str, language_code: str) -> None:
    spoken = speakable(text, language_code)
    assert not any("0" <= character <= "9" for character in spoken.text)
    assert "\n" not in spoken.text
    assert len(spoken.spans) == len(spoken.text)
    assert all(0 <= start < end <= len(text) for start, end in spoken.spans)
    assert sorted(spoken.spans) == list(spoken.spans)


@pytest.mark.parametrize(
    ("written", "language_code", "words"),
    [
        (
            "**Sure**, Dr. Li: in 1998 it was $3.50 at 9:05 AM.",
            "en-US",
            {
                "Sure": "Sure",
                "Doctor": "Dr.",
                "Li": "Li",
                "in": "in",
                "nineteen": "1998",
                "eight": "1998",
                "was": "was",
                "fifty": "$3.50",
                "oh": "9:05 AM",
            },
        ),
        ("Open 9-17, see [the map](https://a.example.com/x).", "en-US", {
            "nine": "9", "to": "-", "seventeen": "17", "the": "the", "map": "map",
        }),
        ("# 票价\n- **35元**，增长15%，1432年。", "zh-CN", {
            "票": "票", "三": "35", "元": "元", "增": "增", "百": "15%", "四": "4",
        }),
    ],
)  # fmt: skip
def test_what_is_said_is_known_by_where_it_is_written(
    written: str, language_code: str, words: dict[str, str]
) -> None:
    spoken = speakable(written, language_code)
    for said, expected in words.items():
        at = spoken.text.index(said)
        start, end = spoken.written(at, at + len(said))
        assert written[start:end] == expected


@pytest.mark.parametrize(
    ("number", "english", "chinese"),
    [
        (0, "zero", "零"),
        (10, "ten", "十"),
        (21, "twenty-one", "二十一"),
        (110, "one hundred and ten", "一百一十"),
        (1005, "one thousand five", "一千零五"),
        (100_010, "one hundred thousand ten", "十万零一十"),
        (3_000_000, "three million", "三百万"),
        (1_200_000_000, "one billion two hundred million", "十二亿"),
    ],
)
def test_numbers(number: int, english: str, chinese: str) -> None:
    assert numerals.english(number) == english
    assert numerals.chinese(number) == chinese


@pytest.mark.parametrize(
    ("year", "words"),
    [
        (1900, "nineteen hundred"),
        (1905, "nineteen oh five"),
        (2000, "two thousand"),
        (2008, "two thousand eight"),
        (2026, "twenty twenty-six"),
    ],
)
def test_years(year: int, words: str) -> None:
    assert numerals.english_year(year) == words


@given(st.integers(0, numerals.LARGEST))
def test_every_number_has_words(number: int) -> None:
    assert numerals.english(number).replace("-", "").replace(" ", "").isalpha()
    assert set(numerals.chinese(number)) <= set("零一二三四五六七八九十百千万亿")
