"""Hears sentences with numbers, and reads numbers from words without the rules that made them."""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pypinyin import Style, lazy_pinyin

from services.speech.ports.recognition import RecognitionRequest, Recognizer
from services.speech.ports.synthesis import SpeechRequest, Synthesizer
from services.speech.streams import once
from services.speech.text.normalization import speakable
from tests.support.resampling import resample

_BY_EAR = Path(__file__).parents[1] / "data" / "spoken" / "by_ear.tsv"
VOICES = {"en": "af_heart", "zh": "zf_xiaoxiao"}
LANGUAGES = {"en": "en-US", "zh": "zh-CN"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A written sentence with numbers."""

    language: str
    written: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardSentence(Sentence):
    """What was said for it, and what was heard."""

    spoken: str
    heard: str

    @property
    def came_back(self) -> bool:
        """Whether all numbers were heard as they were meant."""
        # An ear that does not know 幺 for a digit writes what sounds the same.
        heard = re.sub("(?<![需系只打])[要腰邀妖](?=[0-9])|(?<=[0-9])[要腰邀妖]", "1", self.heard)
        # And writes a time of day as 9.30分.
        heard = re.sub(r"(\d)\.(\d\d)(?=分)", r"\1点\2", heard)
        again = speakable(heard, LANGUAGES[self.language]).text
        meant = _numbers_by_ear(self.spoken, self.language)
        return bool(meant) and _numbers_by_ear(again, self.language) == meant


def _numbers_by_ear(text: str, language: str) -> str:
    """Return the digits of a text's numbers, however the ear spells them: 要要久 is 幺幺九."""
    if language == "zh":
        text = _HAN.sub(_spelled_as_number, text)
    return heard_digits(text, language)


def _spelled_as_number(han: re.Match[str]) -> str:
    """Return characters with those that sound like a digit as that digit."""
    syllables = lazy_pinyin(han[0], style=Style.TONE3)
    return "".join(
        _ZH_BY_SOUND.get(syllable, character)
        for syllable, character in zip(syllables, han[0], strict=True)
    )


def sentences() -> Sequence[Sentence]:
    """Return the sentences of the table, 60 in each language."""
    rows = (line.split("\t") for line in _BY_EAR.read_text(encoding="utf-8").splitlines())
    return [Sentence(language=row[0], written=row[1]) for row in rows if row[0] in LANGUAGES]


async def hear(
    sentence: Sentence, synthesizer: Synthesizer, recognizer: Recognizer
) -> HeardSentence:
    """Say a sentence and write down what is heard."""
    language_code = LANGUAGES[sentence.language]
    spoken = speakable(sentence.written, language_code).text
    request = SpeechRequest(voice_id=VOICES[sentence.language], language_code=language_code)
    pcm = b"".join([chunk.pcm async for chunk in synthesizer.speak(once(spoken), request)])

    async def sound() -> AsyncIterator[bytes]:
        yield resample(pcm, synthesizer.sample_rate_hertz)

    heard = ""
    recognition = RecognitionRequest(language_codes=(language_code,))
    async for transcript in recognizer.transcribe(sound(), recognition):
        heard = transcript.text
    return HeardSentence(
        language=sentence.language, written=sentence.written, spoken=spoken, heard=heard
    )


_EN_ONES = {
    word: value
    for value, word in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
         "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
         "eighteen", "nineteen")
    )
} | {"oh": 0}  # fmt: skip
_EN_TENS = {
    word: 10 * value
    for value, word in enumerate(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], start=2
    )
}
_EN_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_EN_ORDINALS = {
    "first": "one", "second": "two", "third": "three", "fifth": "five", "eighth": "eight",
    "ninth": "nine", "twelfth": "twelve", "half": "two", "halves": "two", "quarter": "four",
    "quarters": "four",
}  # fmt: skip
_ZH_DIGITS = {character: value for value, character in enumerate("零一二三四五六七八九")} | {
    "两": 2,
    "幺": 1,
}
_HAN = re.compile("[一-龥]+")
# No two have the same syllable and tone. 幺 is a rare word; the ear also writes 要 for it.
_ZH_BY_SOUND = {
    **{lazy_pinyin(one, style=Style.TONE3)[0]: one for one in "零一二三四五六七八九十幺"},
    "yao4": "幺",
}
_ZH_UNITS = {"十": 10, "百": 100, "千": 1000}
_ZH_NUMBER = re.compile(
    "[零一二三四五六七八九十百千万亿两幺]+(?:点[零一二三四五六七八九]+)?[万亿]*"
)


def heard_digits(spoken: str, language: str) -> str:
    """Return the digits of all numbers that a text says, in order."""
    return "".join(_chinese(spoken) if language == "zh" else _english(spoken))


def _english(spoken: str) -> list[str]:
    numbers: list[str] = []
    total, part, decimals, last = 0, 0, "", ""

    def flush() -> None:
        nonlocal total, part, decimals, last
        if last:
            numbers.append(f"{total + part}{decimals}")
        total, part, decimals, last = 0, 0, "", ""

    for word in re.findall("[a-z]+", spoken.lower().replace("-", " ")):
        word = _cardinal(word)
        if last == "decimals" and _EN_ONES.get(word, 10) < 10:
            decimals += str(_EN_ONES[word])
        elif last == "decimals" and word in _EN_SCALES:
            value = round(float(f"{total + part}.{decimals}") * _EN_SCALES[word])
            total, part, decimals, last = value, 0, "", "scale"
        elif word in _EN_ONES:
            value = _EN_ONES[word]
            if last not in ("hundred", "scale") and not (last == "tens" and 0 < value < 10):
                flush()
            part, last = part + value, "ones"
        elif word in _EN_TENS:
            if last not in ("hundred", "scale"):
                flush()
            part, last = part + _EN_TENS[word], "tens"
        elif word == "hundred" and 0 < part < 100:
            part, last = part * 100, "hundred"
        elif word in _EN_SCALES and last:
            total, part, last = total + part * _EN_SCALES[word], 0, "scale"
        elif word == "point" and last:
            last = "decimals"
        elif not (word == "and" and last in ("hundred", "scale")):
            flush()
    flush()
    return numbers


def _cardinal(word: str) -> str:
    """Return the number behind an ordinal, a part or a decade: fourteenth, thirds, nineties."""
    if word in _EN_ORDINALS:
        return _EN_ORDINALS[word]
    singular = word.removesuffix("s")
    if singular in _EN_ORDINALS:
        return _EN_ORDINALS[singular]
    for stem in (singular, singular.removesuffix("th"), singular.removesuffix("ieth") + "y",
                 word.removesuffix("ies") + "y"):  # fmt: skip
        if stem in _EN_ONES | _EN_TENS | _EN_SCALES | {"hundred": 100}:
            return stem
    return word


def _chinese(spoken: str) -> list[str]:
    plain = re.sub("[百千]分之", "分之", spoken)
    return [_chinese_number(each) for each in _ZH_NUMBER.findall(plain)]


def _chinese_number(said: str) -> str:
    whole, _, decimals = said.partition("点")
    if decimals and decimals[-1] in "万亿":
        scale = {"万": 10**4, "亿": 10**8}[decimals[-1]]
        value = float(f"{_chinese_whole(whole)}.{_digits(decimals[:-1])}") * scale
        return str(round(value))
    return _chinese_whole(whole) + _digits(decimals)


def _chinese_whole(said: str) -> str:
    if not re.search("[十百千万亿]", said):
        return _digits(said)
    total, section, digit = 0, 0, 0
    for character in said:
        if character in _ZH_DIGITS:
            digit = _ZH_DIGITS[character]
        elif character in _ZH_UNITS:
            section, digit = section + (digit or 1) * _ZH_UNITS[character], 0
        elif character == "万":
            total, section, digit = total + (section + digit) * 10**4, 0, 0
        else:
            total, section, digit = (total + section + digit) * 10**8, 0, 0
    return str(total + section + digit)


def _digits(said: str) -> str:
    return "".join(str(_ZH_DIGITS[character]) for character in said)
