"""Captions follow the voice, and end with what was heard."""

import io
from typing import Any

from rich.console import Console

from parley.console.captions import Captions
from parley.terminal.waterfall import waterfall


def sentence(text: str, *starts_ms: int, begin: int = 0, offset_ms: int = 0) -> dict[str, Any]:
    words, at = [], 0
    for word, start_ms in zip(text.split(" "), starts_ms, strict=False):
        words.append({"start": at, "end": at + len(word), "startMs": start_ms, "endMs": start_ms})
        at += len(word) + 1
    return {"text": text, "textStart": begin, "audioOffsetMs": offset_ms, "words": words}


def test_words_appear_when_they_are_spoken() -> None:
    captions = Captions()
    captions.add(sentence("We open.", 0, 300))
    captions.add(sentence("Do come!", 50, 400, begin=9, offset_ms=1000))
    shown = [captions.due(each) for each in (0.0, 0.2, 0.3, 1.0, 1.05, 9.0)]
    assert shown == ["We ", "", "open.", "", " Do ", "come!"]
    assert captions.rest("We open. Do come!") == ""


def test_later_word_times_of_a_sentence_change_nothing_that_is_shown() -> None:
    captions = Captions()
    captions.add(sentence("We open at nine."))
    first = captions.due(0.1)
    captions.add(sentence("We open at nine.", 0, 100, 200, 300))
    assert first + captions.due(9.0) == "We open at nine."


def test_without_times_they_are_estimated() -> None:
    captions = Captions()
    captions.add(sentence("我们七点开门。"))
    assert captions.due(0.0) == "我"
    assert captions.due(0.5) == "们七"
    assert captions.due(9.0) == "点开门。"


def test_what_was_heard_completes_what_is_shown() -> None:
    captions = Captions()
    captions.add(sentence("We open at nine.", 0, 300, 600, 900))
    captions.due(0.3)
    assert captions.rest("We open at") == "at"
    assert captions.rest("We\nopen at nine.") == "at nine."
    assert captions.rest("We") is None
    assert Captions().rest("") == ""


def test_stages_are_bars_from_the_one_before() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    timings = {"transcriptMs": 100.0, "driveReadyMs": 150.0, "firstTokenMs": 200.0, "other": 1.0}
    console.print(waterfall(timings))
    heading, *rows = console.export_text().splitlines()
    assert heading.startswith("After the end of the question")
    assert [row.split()[-1] for row in rows] == ["100", "150", "200"]
    begins = [row.index("▇") for row in rows]
    assert begins[0] == begins[1] < begins[2]


def test_a_preemptive_reply_has_no_bar_before_the_end_of_the_question() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(waterfall({"firstTokenMs": -200.0, "playbackStartedMs": 100.0}))
    _, first, last = console.export_text().splitlines()
    assert "▇" not in first
    assert last.count("▇") == 24
    assert waterfall({}).row_count == 0
