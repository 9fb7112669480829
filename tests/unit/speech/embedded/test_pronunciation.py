"""What is written becomes what is said, and every sound knows its characters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.speech.embedded.pronunciation import Pronouncer, Sound, phonemes_of, speakable
from services.speech.embedded.synthesizer import split_numbers, split_sounds


@pytest.fixture(scope="module")
def pronouncer() -> Pronouncer:
    return Pronouncer()


@pytest.mark.parametrize(
    ("text", "at", "pinyin"),
    [
        ("还清楚吗", 0, "hai2"), ("比他长三岁", 2, "zhang3"), ("主任医生", 1, "ren4"),
        ("借还款", 1, "huan2"), ("还书", 0, "huan2"), ("押金可退还", 4, "huan2"),
        ("请还一下书", 1, "huan2"), ("押金还吗", 2, "huan2"), ("什么时候还", 4, "huan2"),
        ("书还了吗", 1, "huan2"), ("他还没来", 1, "hai2"), ("还钱了没有", 0, "huan2"),
        ("还有票", 0, "hai2"), ("还在开放", 0, "hai2"), ("去银行", 2, "hang2"),
        ("还原价", 0, "hai2"), ("还原价值", 0, "huan2"), ("还原图像", 0, "huan2"),
        ("自行车", 1, "xing2"), ("三行字", 1, "hang2"), ("重庆", 0, "chong2"),
        ("体重", 1, "zhong4"), ("长三米", 0, "chang2"), ("校长", 1, "zhang3"),
        ("全长", 1, "chang2"), ("增长", 1, "zhang3"), ("好了", 1, "le5"),
        ("了解", 0, "liao3"), ("跑得快", 1, "de5"), ("我得走了", 1, "dei3"),
        ("得到", 0, "de2"), ("看着", 1, "zhe5"), ("着急", 0, "zhao2"),
        ("首都", 1, "du1"), ("都有", 0, "dou1"), ("价格为三元", 2, "wei2"),
        ("为您服务", 0, "wei4"), ("数一数", 0, "shu3"), ("数字", 0, "shu4"),
        ("便宜", 0, "pian2"), ("方便", 1, "bian4"), ("角色", 0, "jue2"),
        ("六角钱", 1, "jiao3"), ("薄荷", 0, "bo4"), ("曾先生", 0, "zeng1"),
        ("曾经", 0, "ceng2"), ("单位", 0, "dan1"), ("效率", 1, "lv4"),
        ("率领", 0, "shuai4"), ("人参", 1, "shen1"), ("参加", 0, "can1"),
        ("出差", 1, "chai1"), ("差五分", 0, "cha4"), ("朝代", 0, "chao2"),
        ("朝阳", 0, "zhao1"), ("音乐", 1, "yue4"), ("快乐", 1, "le4"),
        ("两只猫", 1, "zhi1"), ("只有", 0, "zhi3"), ("慢慢地走", 2, "de5"),
        ("地方", 0, "di4"), ("应付款", 0, "ying1"), ("反应", 1, "ying4"),
        ("任先生", 0, "ren2"), ("这一行很难", 2, "hang2"), ("这样行不行", 2, "xing2"),
        ("多长时间", 1, "chang2"), ("他还了解", 1, "hai2"), ("他还了书", 1, "huan2"),
        ("背着包", 0, "bei1"), ("朝鲜冷面", 1, "xian3"), ("内蒙古", 1, "meng3"),
        ("教我唱歌", 0, "jiao1"), ("请教您", 1, "jiao4"), ("打的去机场", 1, "di1"),
        ("佛教我不懂", 1, "jiao4"), ("宗教他们信", 1, "jiao4"), ("基督教我不懂", 2, "jiao4"),
        ("大家教我唱歌", 2, "jiao1"), ("多读书多长见识", 4, "zhang3"),
        ("这是我打的到家电话", 4, "de5"),
    ],
)  # fmt: skip
def test_characters_are_read_as_their_words_ask(
    pronouncer: Pronouncer, text: str, at: int, pinyin: str
) -> None:
    sound = next(
        each for each in pronouncer.pronounce(text, "zh-CN") if each.start == at < each.end
    )
    assert sound.phonemes == phonemes_of(pinyin)


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("An A three two zero landed.", 1),
        ("Take vitamin A, or B.", 1),
        ("B A one one seven", 1),
        ("A T and T", 1),
        ("A day in a town", 0),
        ("A Tale of Two Cities", 0),
        ("乘坐A三二零，A四纸", 2),
    ],
)
def test_a_letter_is_not_an_article(pronouncer: Pronouncer, text: str, letters: int) -> None:
    sounds = pronouncer.pronounce(text, "en-US")
    assert sum(each.phonemes == "ˈA" for each in sounds) == letters


def test_foreign_and_wide_letters_are_read_as_plain_ones(pronouncer: Pronouncer) -> None:
    said = [
        "".join(sound.phonemes for sound in pronouncer.pronounce(text, "en-US"))
        for text in ("naïve café ＡＢＣ", "naive cafe ABC")
    ]
    assert said[0] == said[1]


def words(text: str, sounds: list[Sound]) -> list[str]:
    """The written words behind the sounds, each once."""
    found = [text[sound.start : sound.end] for sound in sounds if sound.is_word]
    return [word for index, word in enumerate(found) if index == 0 or found[index - 1] != word]


@pytest.mark.parametrize(
    ("text", "language_code", "expected"),
    [
        ("Hello there, it's nine thirty a.m.!", "en-US",
         ["Hello", "there", "it's", "nine", "thirty", "a.m."]),
        ("It costs three dollars (today).", "en-GB", ["It", "costs", "three", "dollars", "today"]),
        ("今天二月十四日。", "zh-CN", ["今", "天", "二", "月", "十", "四", "日"]),
        ("请打开WiFi，然后说hello world。", "zh-CN",
         ["请", "打", "开", "WiFi", "然", "后", "说", "hello", "world"]),
        ("The word 你好 means hello.", "en-US", ["The", "word", "你", "好", "means", "hello"]),
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


def test_pauses_are_written_as_the_voice_model_learned_them(pronouncer: Pronouncer) -> None:
    phonemes = "".join(
        sound.phonemes for sound in pronouncer.pronounce(" 你好 ， 用WiFi吧 。", "zh-CN")
    )
    assert phonemes.startswith("ni↓")
    assert "  " not in phonemes
    assert " ," not in phonemes
    assert ", " in phonemes
    assert " wˈifˌI" in phonemes


@pytest.mark.parametrize(
    ("text", "language_code", "pauses"),
    [
        ("你好，我们有苹果、香蕉；请问：几个？好。", "zh-CN", 6),
        ("他说“你好”（笑）", "zh-CN", 0),
        ("幺三八，零零幺三", "en-US", 1),
        ("No problem, I can help you.", "en-US", 0),
    ],
)
def test_marks_of_chinese_ask_for_a_pause(
    pronouncer: Pronouncer, text: str, language_code: str, pauses: int
) -> None:
    sounds = pronouncer.pronounce(text, language_code)
    assert sum(sound.pause_s > 0 for sound in sounds) == pauses


@pytest.mark.parametrize(
    ("text", "language_code", "groups"),
    [
        ("电话幺三八，零零幺三，八零。", "zh-CN", ["电话幺三八", "零零幺三", "八零"]),
        ("邮编是幺零零、零八零，谢谢。", "zh-CN", ["邮编是幺零零", "零八零谢谢"]),
        ("地址是一九二，点一六八，点一。", "zh-CN", ["地址是一九二点一六八点一"]),
        ("有二十，三十。", "zh-CN", ["有二十三十"]),
        ("我有三，请问。", "zh-CN", ["我有三请问"]),
        ("Call one, two.", "en-US", ["Callonetwo"]),
    ],
)
def test_each_group_of_a_number_is_said_alone(
    pronouncer: Pronouncer, text: str, language_code: str, groups: list[str]
) -> None:
    sounds = pronouncer.pronounce(text, language_code)
    pieces = list(split_numbers(text, sounds))
    assert [sound for piece in pieces for sound in piece] == sounds
    said = ["".join(text[sound.start : sound.end] for sound in piece) for piece in pieces]
    assert said == groups


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
