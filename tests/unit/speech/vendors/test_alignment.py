"""The places of a voice's words in the text that it was given."""

from services.speech.vendors.alignment import TextCursor


def places(text: str, *words: str) -> list[str | None]:
    """Return what is found for each word, as the text has it."""
    cursor = TextCursor(text)
    found = [cursor.find(word) for word in words]
    return [None if place is None else text[slice(*place)] for place in found]


def test_finds_words_whatever_lies_between_them() -> None:
    found = places("“Hi,” you — bye!", "hi", "you", "Bye")
    assert found == ["Hi", "you", "bye"]


def test_finds_full_width_characters_and_each_of_the_same_word_in_turn() -> None:
    cursor = TextCursor("ＡＢ，ab。")
    assert [cursor.find("ab"), cursor.find("AB"), cursor.find("ab")] == [(0, 2), (3, 5), None]


def test_leaves_out_a_word_that_is_spoken_otherwise_and_goes_on_after_it() -> None:
    found = places("共25元，好的。", "共", "二十五", "元", "好", "的")
    assert found == ["共", None, "元", "好", "的"]


def test_does_not_jump_ahead_to_a_word_that_comes_later() -> None:
    text = "It costs five percent of what people pay for a percentage."
    assert places(text, "It", "percentage", "costs") == ["It", None, "costs"]


def test_finds_words_in_text_that_is_added_later() -> None:
    cursor = TextCursor()
    assert cursor.find("good") is None
    cursor.add("Good ")
    cursor.add("day.")
    assert cursor.find("good") == (0, 4)
    assert cursor.find("day.") == (5, 9)


def test_keeps_places_where_folding_would_change_lengths() -> None:
    text = "Straße İzmir ﬁn"
    assert places(text, "straße", "İzmir", "ﬁn") == ["Straße", "İzmir", "ﬁn"]
