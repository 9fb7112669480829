"""Markdown is stripped from whole replies and from parts that are cut anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.speech.text.markdown import without_markup
from services.speech.text.normalization import speakable
from services.speech.text.segmentation import Splitter

REPLY = """# Opening hours

Here is what you **should know. It is** important:

1. **Mon-Fri**: 9:00-17:00
2. **Sat**: 10:00-14:00
   - last entry 13:30
   - *no* tickets after 13:45

| Ticket | Price |
|:-------|------:|
| Adult  | $12.50 |
| Child (6-12) | $6 |

See [our site](https://www.example.com/visit?x=1) or call `555-0142`.

> So 6*7 = 42, and snake_case stays.

---
"""


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("**a** _b_ ***c*** `d` ~e~", "a b c d ~e~"),
        ("un*frig*able and **5**km", "unfrigable and 5km"),
        ("6*7 and 8*9, 2**3 and 4**5, a*b and c*d", "6*7 and 8*9, 2**3 and 4**5, a*b and c*d"),
        ("snake_case_name and __init__", "snake_case_name and init"),
        (r"\*not\* \# marked", "*not* # marked"),
        ("# A\n\n## B\nc", "A. B. c"),
        ("- a\n- b\n  - c\n    - d", "a. b. c. d"),
        ("42. That is it.", "42. That is it."),
        ("3) three\n4) four", "3) three. 4) four"),
        ("> a\n> b", "a b"),
        ("[a b](https://x.example/1_2_3) [c][1]", "a b [c][1]"),
        ("![a cat](cat.png) <https://x.example>", "a cat https://x.example"),
        ("```python\nx = 5\n```\ny", "x = 5\n. y"),
        ("a<br>b <b>c</b> <!-- d --> e", "a. b c  e"),
        ("<div class='x'>5 <i>cm</i></div>\nrest", "5 cm. \nrest"),
        ("<p>a</p><p>b</p><ul><li>c</li></ul>", "a. b. c"),
        ("<td>1</td><td>2</td>x<sup>2</sup> H<sub>2</sub>O", "1, 2, x^2 H2O"),
        ("<style>p {x: 5}</style>a", "a"),
        ("Tom &amp; Jerry&#39;s 3 &lt; 5", "Tom & Jerry's 3 < 5"),
        ("|a|b|\n|-|-|\n|1|2|", "a, b. 1, 2"),
        ("[note]: said", "[note]: said"),
        ("价格**高**。\n\n- 一\n- 二", "价格高。 一。二"),
        ("- [x] a\n- [ ] b", "a. b"),
    ],
)
def test_only_markup_is_removed(written: str, read: str) -> None:
    assert without_markup(written).text == read


def test_each_character_is_mapped_to_its_place() -> None:
    written = "é **中 6*7** [b](http://x) &amp; `c`"
    spoken = without_markup(written)
    places = {
        said: written[slice(*spoken.written(spoken.text.index(said), spoken.text.index(said) + 1))]
        for said in "é中6*7b&c"
    }
    assert places == {
        "é": "é", "中": "中", "6": "6", "*": "*", "7": "7", "b": "b", "&": "&amp;", "c": "c",
    }  # fmt: skip


def said_in_segments(reply: str) -> str:
    splitter = Splitter()
    segments = [each for token in reply for each in splitter.feed(token)] + splitter.flush()
    return " ".join(speakable(each.text, "en").text for each in segments)


def letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))


def test_segments_say_the_same_as_the_whole_reply() -> None:
    in_segments = said_in_segments(REPLY)
    assert letters(in_segments) == letters(speakable(REPLY, "en").text)
    assert not set(in_segments) & set("*#|`>_") - {"_"}
    assert "six times seven equals forty-two" in in_segments
    assert "snake_case" in in_segments


@given(st.text(st.sampled_from("ab1 \n*_`#|>-.[]()<&;~é中"), max_size=60))
def test_letters_and_digits_survive_any_markup(text: str) -> None:
    spoken = without_markup(text)
    assert len(spoken.spans) == len(spoken.text)
    assert list(spoken.spans) == sorted(spoken.spans)
    assert all(0 <= start < end <= len(text) for start, end in spoken.spans)
    if not set("[<`&") & set(text):
        assert letters(spoken.text) == letters(text)
