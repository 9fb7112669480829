"""Replies are split at their marks, without lookahead and without losing a character."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.speech.text.segmentation import Segment, Splitter, speech_s, split


def cut(*deltas: str) -> list[Segment]:
    """Return the segments of a reply that arrives in these pieces."""
    splitter = Splitter()
    return [each for delta in deltas for each in splitter.feed(delta)] + splitter.flush()


def texts(*deltas: str) -> list[str]:
    """Return the segments' texts."""
    return [segment.text for segment in cut(*deltas)]


def test_a_segment_is_emitted_with_the_token_that_ends_it() -> None:
    splitter = Splitter()
    assert splitter.feed("The museum opens at nine") == []
    [segment] = splitter.feed(".")
    assert segment == Segment(text="The museum opens at nine.", start=0, end=25)
    splitter = Splitter()
    assert splitter.feed("博物馆每天早上九点开门") == []
    [segment] = splitter.feed("，")
    assert segment.text == "博物馆每天早上九点开门，"


def test_a_very_short_beginning_waits_for_more() -> None:
    assert texts("Sure. ", "The museum opens at nine. ", "See you soon, my friend.") == [
        "Sure. The museum opens at nine.",
        "See you soon, my friend.",
    ]


def test_the_first_segment_ends_at_a_clause_and_later_ones_at_sentences() -> None:
    assert texts(
        *"If you come in the morning, there is nobody here, so to say. In the afternoon, on most"
        " days, there are many visitors. In the evening, it is calm again."
    ) == [
        "If you come in the morning,",
        "there is nobody here, so to say.",
        "In the afternoon, on most days, there are many visitors.",
        "In the evening, it is calm again.",
    ]


@pytest.mark.parametrize(
    "whole",
    [
        "Doctor means Dr. Smith in this house of ours today.",
        "The price is 3.50 dollars for each of the two of us.",
        "It costs 1,000,000 dollars for each of the two of us.",
        "Please come to us at 10:30 in the morning of Monday.",
        "Have a look at www.example.com and tell us about it.",
        "Have a look at https://a.example.com/b.c?d=e about it.",
        "You can always write to someone@example.com about it.",
        "The author of this is J. R. R. Tolkien from England.",
        "It is e.g. this one that you want to see now.",
        "Please go up with the lift and take room No. 5 there.",
        "We are closed all day long on Feb. 14 of this year.",
        "We are closed on February 14, 2026 and on Sunday.",
        "You may call 110, 119 or 120 from every phone here.",
        "Version 2.4.1 of it is out since 10:30 this morning.",
        "Ask at 192.168.1.1 or at the desk in front of it.",
        "The good old films of Tom &amp; Jerry are on in this hall.",
        "It was painted in 1503—1506 by a man from Vinci.",
        "Have a look at docs.example.com/a/b.html?id=5#top about it.",
        "Open the file /etc/nginx/nginx.conf on the server of ours.",
        "Read the [long guide](docs/guide.html) that tells it all.",
        "It is shown by [![badge](b.png)](https://a.example.com) here.",
        "He lives at 123 Main St. in Apt. 4B on the second floor.",
        "展览明天上午9：30在一楼的大厅里开始。",
        "紧急时请拨打110、119或者120求助。",
    ],
)
@pytest.mark.parametrize("size", [1, 4, 7, 100])
def test_marks_inside_words_and_numbers_end_nothing(whole: str, size: int) -> None:
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    assert texts(*pieces) == [whole]


def test_a_number_at_the_end_is_decided_by_what_follows() -> None:
    splitter = Splitter()
    assert splitter.feed("The shop opens every day at 9.") == []
    assert [each.text for each in splitter.feed(" Then")] == ["The shop opens every day at 9."]
    assert [each.text for each in splitter.flush()] == ["Then"]


def test_a_possible_abbreviation_of_number_ends_a_sentence_unless_a_number_follows() -> None:
    assert texts(*"The short answer to this is no. We close at eight.") == [
        "The short answer to this is no.",
        "We close at eight.",
    ]


def test_a_long_text_is_not_cut_beside_a_number() -> None:
    segments = texts(*("we have 5 billion of them in 1 1/2 years and " * 12))
    assert len(segments) > 3
    assert not any(each[-1].isdigit() or each[0].isdigit() for each in segments)
    segments = texts(*("这里在2026年有120万人来过" * 20))
    assert not any(each[-1].isdigit() for each in segments)


@pytest.mark.parametrize("name", ["example.com", "readme.md", "Node.js", "image.png"])
def test_a_name_with_a_point_is_whole_even_if_it_comes_in_characters(name: str) -> None:
    assert texts(
        "Everything that there is to be known is there. ", *f"It is all in {name} now."
    ) == [
        "Everything that there is to be known is there.",
        f"It is all in {name} now.",
    ]


def test_list_numbers_stay_with_their_items() -> None:
    assert texts(*"1. Apples are good for you.\n2. Pears are better for you.") == [
        "1. Apples are good for you.",
        "2. Pears are better for you.",
    ]


def test_closing_quotes_stay_with_their_sentence() -> None:
    assert texts('"I am here to help you now." That was it, my dear friend.')[0] == (
        '"I am here to help you now."'
    )
    assert texts("他说：“我现在就来帮助你们。”然后他就走了。")[0] == "他说：“我现在就来帮助你们。”"


def test_text_without_marks_is_cut_at_a_space() -> None:
    segments = cut("word " * 100)
    assert len(segments) > 3
    assert all(speech_s(segment.text) < 10 for segment in segments)
    assert {word for segment in segments for word in segment.text.split()} == {"word"}


def test_a_long_text_is_not_cut_within_a_link() -> None:
    link = f"[the page of ours](https://www.example.com/{'a-long-path/' * 9})"
    assert (
        sum(link in each for each in texts(*f"You can find all of this on {link} if you like."))
        == 1
    )


@pytest.mark.parametrize("unit", ["[a](b ", "[a ", "](a", "a "])
def test_no_text_takes_long_to_split(unit: str) -> None:
    assert sum(len(segment.text) for segment in cut(*(unit * 500))) > 0


def test_chinese_without_marks_is_cut_between_characters() -> None:
    segments = cut("好" * 200)
    assert all(speech_s(segment.text) < 10 for segment in segments)
    assert "".join(segment.text for segment in segments) == "好" * 200


def test_marks_alone_are_not_spoken() -> None:
    assert texts("...", "\n", "!") == []
    assert texts("") == []


REPLIES = st.text(
    st.sampled_from("ab Zé好吗0123.,;:!?…。，！？、\n\"”'()-@/"), max_size=200
) | st.text(max_size=200)


@given(REPLIES, st.lists(st.integers(1, 30), min_size=1, max_size=20))
def test_segments_are_the_reply(reply: str, sizes: list[int]) -> None:
    pieces, at, turn = [], 0, 0
    while at < len(reply):
        size = sizes[turn % len(sizes)]
        pieces.append(reply[at : at + size])
        at, turn = at + size, turn + 1
    segments = cut(*pieces)
    end = 0
    for segment in segments:
        assert segment.start >= end
        assert segment.text == reply[segment.start : segment.end]
        assert not any(each.isalnum() for each in reply[end : segment.start])
        end = segment.end
    assert not any(each.isalnum() for each in reply[end:])


async def test_a_stream_is_split_while_it_comes() -> None:
    async def deltas() -> AsyncIterator[str]:
        yield "This is the first one of them. "
        yield "And this is the second one of them."

    assert [each.text async for each in split(deltas())] == [
        "This is the first one of them.",
        "And this is the second one of them.",
    ]


def test_a_paragraph_ends_a_segment_of_any_length() -> None:
    splitter = Splitter()
    assert splitter.feed("One moment.") == []
    assert [each.text for each in splitter.feed("\n\n")] == ["One moment."]
    assert [each.text for each in splitter.feed("It is nine.")] == []
    assert [(each.text, each.start) for each in splitter.flush()] == [("It is nine.", 13)]


@pytest.mark.parametrize("wordless", [" ", "- ", "| |", "...", ":", "🙂 "])
def test_what_has_no_words_waits_for_some(wordless: str) -> None:
    splitter = Splitter()
    # However long it goes on, it is neither said nor looked at again.
    assert splitter.feed(wordless * 1_000) == []
    assert splitter.feed("Here they are. ") != []
