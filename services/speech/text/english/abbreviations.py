"""Shortened words, Roman numerals and the signs between words."""

import re

from services.speech.text import numerals
from services.speech.text.alignment import Reading, alternatives, replace, rule
from services.speech.text.english.numbers import before

_TITLES = {
    "Dr": "Doctor", "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Prof": "Professor",
    "Capt": "Captain", "Gen": "General", "Sgt": "Sergeant", "Lt": "Lieutenant", "Col": "Colonel",
    "Rev": "Reverend", "Gov": "Governor", "Sen": "Senator", "Pres": "President", "Mt": "Mount",
    "Ft": "Fort", "St": "Saint", "Messrs": "Messieurs", "Hon": "Honorable", "Rep": "Representative",
}  # fmt: skip
"""Titles that stand before a name."""

_PLACES = {
    "St": "Street", "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "Ln": "Lane",
    "Sq": "Square", "Pl": "Place", "Ct": "Court", "Dr": "Drive",
}  # fmt: skip
"""Words that follow the name of a place."""

_ABBREVIATIONS = {
    "vs": "versus", "approx": "approximately", "Approx": "Approximately",
    "Est": "Established", "dept": "department", "tel": "telephone",
    "incl": "including", "excl": "excluding",
    "Jr": "Junior", "Sr": "Senior", "Inc": "Incorporated", "Ltd": "Limited", "Corp": "Corporation",
    "Co": "Company", "govt": "government", "resp": "respectively", "Bros": "Brothers",
    "esp": "especially",
    "cf": "compare", "viz": "namely", "ca": "circa", "misc": "miscellaneous", "Univ": "University",
}  # fmt: skip
_BEFORE_NUMBERS = {
    "No": "number", "no": "number", "Nos": "numbers",
    "Fig": "figure", "Figs": "figures", "Vol": "volume",
    "p": "page", "pp": "pages", "Ch": "chapter", "Sec": "section", "Eq": "equation",
    "Art": "article", "fig": "figure", "figs": "figures", "vol": "volume", "ch": "chapter",
    "sec": "section", "eq": "equation", "Apt": "apartment", "apt": "apartment", "Ste": "suite",
    "Bldg": "building", "Rm": "room", "Hwy": "highway", "ver": "version", "Ver": "version",
    "Rev": "revision", "Pt": "part", "Ep": "episode", "min": "minimum", "Min": "minimum",
    "Op": "opus", "max": "maximum", "Max": "maximum", "avg": "average",
}  # fmt: skip

_REGNANT = (
    "Louis|Henry|Elizabeth|Charles|George|Edward|James|William|Richard|Napoleon|Catherine|Peter"
    "|Alexander|Nicholas|Philip|Paul|Benedict|Pius|Leo|Gregory|Ramses|Ramesses|Ptolemy|Amenhotep"
    "|Thutmose|Cleopatra|Frederick|Wilhelm|Ivan|Mary|Francis|Ferdinand|Carl|Gustav|Harald|Haakon"
    "|Christian|Otto|Rama|Naruhito|Felipe|Juan Carlos|Alfonso|Innocent|Clement|Urban|Sixtus"
)
_CHAPTERS = (
    "World War|Chapter|Part|Act|Scene|Volume|Vol\\.|Book|Phase|Type|Section|Article|Title|Level"
    "|Stage|Class|Grade|Super Bowl|Apollo|Saturn|Figure|Table|Appendix|Schedule|Unit|Mark"
)
_ROMAN = r"(?<![A-Za-z])X{0,3}(?:IX|IV|V?I{0,3})(?<=[IVX])"
_ROMAN_TO_89 = r"(?<![A-Za-z])(?!L\b)(?:XL|L?X{0,3})(?:IX|IV|V?I{0,3})(?<=[IVXL])"
_ROMAN_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50}
_ALWAYS_NUMBERED = frozenset(("World War", "Type", "Phase", "Stage", "Act", "Chapter", "Volume"))


def _roman(written: str) -> int:
    values = [_ROMAN_VALUES[each] for each in written]
    pairs = zip(values, (*values[1:], 0), strict=True)
    return sum(-value if value < following else value for value, following in pairs)


def _ordinal_name(match: re.Match[str]) -> Reading:
    words = f"the {numerals.english_ordinal(_roman(match[2])).capitalize()}"
    return [(words, match.span(2))]


def _numbered(match: re.Match[str]) -> Reading | None:
    is_word = match[2] == "I" and re.match(r" (?!of|and|to)[a-z']", match.string[match.end() :])
    if is_word and match[1] not in _ALWAYS_NUMBERED:
        return None
    return [(numerals.english(_roman(match[2])), match.span(2))]


def _titled(match: re.Match[str]) -> str:
    return numerals.english(_roman(match[0]))


def _with_full_stop(match: re.Match[str], name: str) -> str:
    """Return a name, with its full stop if that also ends the sentence."""
    return f"{name}." if match.end() == len(match.string) and match[0].endswith(".") else name


def _side(match: re.Match[str]) -> str:
    return {"N": "North", "S": "South", "E": "East", "W": "West"}[match[1]]


def _place(match: re.Match[str]) -> str | None:
    follows_name = re.search(r"(?:[A-Z][a-z]+|\d(?:st|nd|rd|th)) $", before(match))
    return _with_full_stop(match, _PLACES[match[1]]) if follows_name else None


RULES = (
    replace(r"\be\.\s?g\.", "for example"),
    replace(r"\bi\.\s?e\.", "that is"),
    replace(r"(?<![/\w])etc\.(?=\s+[A-Z]|\s*$)", "and so on."),
    replace(r"(?<![/\w])etc\b(?!/)\.?", "and so on"),
    replace(r"\bw/o\b", "without"),
    replace(r"\bw/(?:\s(?=[\w$£€])|(?=[A-Za-z]))", "with "),
    replace(r"(?<=\d )c\.(?=\s[a-z])", "cups"),
    rule(
        r"(?<=\d )([NSEW])\.?(?= [A-Z][a-z]+ (?:St|Ave|Rd|Blvd|Dr|Ln|Street|Avenue|Road)\b)", _side
    ),
    replace(r"\bM[-–]F\b(?=[\s,:]{1,2}\d)", "Monday to Friday"),
    replace(r"\band/or\b", "and or"),
    replace(r"\bc\.\s?(?=(?:1\d|20)\d\d\b)", "circa "),
    replace(r"\best\.(?=\s(?:1\d|20)\d\d\b)", "established"),
    replace(r"\best\.(?=\s\d)", "estimated"),
    replace(r"\bb/c\b", "because"),
    replace(r"\by/y\b", "year on year"),
    replace(r"\bc/o\b", "care of"),
    replace(r"\ba\.k\.a\.|\ba\.?k\.?a\b", "also known as"),
    rule(rf"\b({alternatives(_TITLES)})\.(?=\s(?:[A-Z]|and\b|&))", lambda match: _TITLES[match[1]]),
    rule(rf"\b({alternatives(_PLACES)})(?:\.|(?=,|$))", _place),
    rule(
        rf"\b({alternatives(_ABBREVIATIONS)})\.",
        lambda match: _with_full_stop(match, _ABBREVIATIONS[match[1]]),
    ),
    replace(r"\bvs\b", "versus"),
    rule(
        rf"(?<![\w-])({alternatives(_BEFORE_NUMBERS)})(?:\.\s?|(?<!no)(?<!Art)(?<!Max)(?<!Min)\s?)(?=#?\d(?!\d*:))",
        lambda match: f"{_BEFORE_NUMBERS[match[1]]} ",
    ),
    rule(rf"\b({_REGNANT}) ({_ROMAN})\b(?<! I)", _ordinal_name),
    rule(rf"\b({_CHAPTERS}) ({_ROMAN_TO_89})\b(?!-)", _numbered),
    rule(rf"\b{_ROMAN}(?= century\b)", lambda match: numerals.english_ordinal(_roman(match[0]))),
    rule(r"(?<=[a-z] )(?:II|III|IV|VI{1,3}|IX|XI{1,3}|XIV|XVI{0,3}|XIX)\b(?! drip)", _titled),
    replace(r"\bC\+\+", "C plus plus"),
    rule(r"\b([CF])#", lambda match: f"{match[1]} sharp"),
    replace(r"(?<!\S)\.(?=[A-Za-z]{2})", "dot "),
    replace(r"(?<=\d)\.(?=[xX]\b)", " point "),
    rule(
        r"(?<![\w-])([A-DF])-(?=[.,;:!?)]|$| (?:grade|average|on|in)\b)", lambda m: f"{m[1]} minus"
    ),
    replace(r"(?<=[A-Za-z])\.(?=\d)", " point "),
    replace("&{1,2}", " and "),
    replace(r"(?<=\w)\+(?=[\s.,!?;:)]|$)", " plus"),
    replace(r"\+", " plus "),
    replace(r"(?<![=])={1,3}(?!=)(?=\s?\S)", " equals "),
    replace(r"#(?=[A-Za-z])", "hashtag "),
    replace(r"(?<![\w.])@(?=\w)", "at "),
    replace("@", " at "),
    replace(r"™|®|©", ""),
)
