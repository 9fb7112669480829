"""What is written becomes what is said, and every sound knows its characters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.speech.embedded.pronunciation import Pronouncer, Sound, speakable
from services.speech.embedded.readings import Reading, read_chinese, read_english
from services.speech.embedded.synthesizer import split_sounds


@pytest.fixture(scope="module")
def pronouncer() -> Pronouncer:
    return Pronouncer()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("It is 9:30.", "It is 9 30."),
        ("At 10:00 or 10:05", "At 10 o'clock or 10 oh 5"),
        ("Call 555-0142.", "Call 5 5 5, 0 1 4 2."),
        ("3.5kg, 1 km, 30 km/h", "3.5 kilograms, 1 kilometer, 30 kilometers per hour"),
        ("20°C", "20 degrees Celsius"),
        ("cats vs. dogs", "cats versus dogs"),
        ("naïve café", "naive cafe"),
        ("ＡＢＣ１２", "ABC12"),
        ("MP3s and B2B", "MP3s and B2B"),
    ],
)
def test_english_readings(written: str, said: str) -> None:
    assert read_english(written).text == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("订单号是4729", "订单号是四七二九"),
        ("2023年5月1日", "二零二三年五月一日"),
        ("下午3:30见", "下午三点半见"),
        ("共3.5公斤，打20%的折", "共三点五公斤，打百分之二十的折"),
        ("1,200元", "一千二百元"),
        ("¥25.80", "二十五点八元"),
        ("2个人和12个人，第2名", "两个人和十二个人，第二名"),
        ("-5度，-5个", "零下五度，负五个"),
        ("电话13800138000", "电话幺三八零零幺三八零零零"),
        ("1/2", "二分之一"),
        ("GPT-4", "GPT 四"),
        ("长10km", "长十千米"),
        ("３个", "三个"),
    ],
)
def test_chinese_readings(written: str, said: str) -> None:
    assert read_chinese(written).text == said


@pytest.mark.parametrize(
    "reading",
    [read_english("At 9:30 it is 3.5kg, naïve."), read_chinese("第2名在2023年5月得了1,200元。")],
)
def test_every_said_character_has_its_origin_in_order(reading: Reading) -> None:
    assert len(reading.spans) == len(reading.text)
    assert all(start < end for start, end in reading.spans)
    assert list(reading.spans) == sorted(reading.spans)


def words(text: str, sounds: list[Sound]) -> list[str]:
    """The written words behind the sounds, each once."""
    found = [text[sound.start : sound.end] for sound in sounds if sound.is_word]
    return [word for index, word in enumerate(found) if index == 0 or found[index - 1] != word]


@pytest.mark.parametrize(
    ("text", "language_code", "expected"),
    [
        ("Hello there, it's 9:30 a.m.!", "en-US", ["Hello", "there", "it's", "9:30", "a.m."]),
        ("It costs $3.50 (today).", "en-GB", ["It", "costs", "3.50", "today"]),
        ("今天2月14日。", "zh-CN", ["今", "天", "2月", "14日"]),
        ("请打开WiFi，然后说hello world。", "zh-CN",
         ["请", "打", "开", "WiFi", "然", "后", "说", "hello", "world"]),
        ("The word 你好 means hello 3 times.", "en-US",
         ["The", "word", "你", "好", "means", "hello", "3", "times"]),
        ("你好，世界", "en-US", ["你", "好", "世", "界"]),
    ],
)  # fmt: skip
def test_sounds_know_their_words(
    pronouncer: Pronouncer, text: str, language_code: str, expected: list[str]
) -> None:
    assert words(text, pronouncer.pronounce(text, language_code)) == expected


@pytest.mark.parametrize("text", ["", " ", "\n", "...", "😀", "「」", "——", "*#_"])
def test_nothing_to_say(pronouncer: Pronouncer, text: str) -> None:
    assert not speakable(pronouncer.pronounce(text, "en-US"))
    assert not speakable(pronouncer.pronounce(text, "zh-CN"))


def test_numbers_are_read_in_the_language_that_prevails(pronouncer: Pronouncer) -> None:
    english = pronouncer.pronounce("Gate 3, says 北京.", "en-US")
    chinese = pronouncer.pronounce("3号门在Terminal里面的左边。", "en-US")
    assert any(sound.phonemes == "θɹˈi" for sound in english)
    assert any(sound.phonemes == "sa→n" for sound in chinese)


def test_pauses_are_written_as_the_voice_model_learned_them(pronouncer: Pronouncer) -> None:
    phonemes = "".join(
        sound.phonemes for sound in pronouncer.pronounce(" 你好 ， 用WiFi吧 。", "zh-CN")
    )
    assert phonemes.startswith("ni↓")
    assert "  " not in phonemes
    assert " ," not in phonemes
    assert ", " in phonemes
    assert " wˈifˌI" in phonemes


def sounds_of(pattern: str) -> list[Sound]:
    """A word for each letter run, a pause for everything else."""
    return [
        Sound(phonemes=text, start=index, end=index + (1 if text.isalpha() else 0))
        for index, text in enumerate(pattern.split("|"))
    ]


@pytest.mark.parametrize(
    ("pattern", "pieces"),
    [
        ("abc| |def", ["abc def"]),
        ("abcd| |efgh|, |ijkl", ["abcd efgh, ", "ijkl"]),
        ("abcd| |efgh| |ijkl", ["abcd efgh ", "ijkl"]),
        ("a|, |bcd| |efg| |hijk", ["a, bcd efg ", "hijk"]),
        ("a| |bcdefghijk|lmnop", ["a ", "bcdefghijk", "lmnop"]),
        ("abcdefghijklmnopqrstuvwxyz", ["abcdefghijkl", "mnopqrstuvwx", "yz"]),
    ],
)
def test_long_speech_is_cut_at_marks_or_spaces(pattern: str, pieces: list[str]) -> None:
    split = list(split_sounds(sounds_of(pattern), 12))
    assert ["".join(sound.phonemes for sound in piece) for piece in split] == pieces


@given(
    st.lists(st.tuples(st.text("ab", min_size=1, max_size=30), st.sampled_from(["", " ", ", "]))),
    st.integers(2, 40),
)
def test_pieces_fit_and_lose_nothing(spoken: list[tuple[str, str]], limit: int) -> None:
    sounds = sounds_of("|".join(part for pair in spoken for part in pair if part))
    pieces = list(split_sounds(sounds, limit))
    phonemes = ["".join(sound.phonemes for sound in piece) for piece in pieces]
    assert all(0 < len(text) <= limit for text in phonemes)
    assert "".join(phonemes) == "".join(sound.phonemes for sound in sounds)
