"""Numbers that identify rather than count: telephone numbers, addresses, versions, models."""

import re

from services.speech.text import numerals
from services.speech.text.addresses import (
    ADDRESS,
    DEVICE,
    DOCUMENT,
    FILES,
    read_address,
    read_device,
    read_document,
    spelled,
)
from services.speech.text.alignment import Reading, Span, replace, rule
from services.speech.text.english.measures import UNIT
from services.speech.text.english.numbers import UNSIGNED, YEARS, before, digits_of, follows, number

_PHONE = re.compile(
    r"\b(?:call|dial|ring|phone|text|fax|tel|telephone|mobile|cell|hotline|helpline|whatsapp"
    r"|numbers?['’]s|number is|reach (?:us|me|them|him|her) (?:on|at)"
    r"|extension|ext|emergency|emergencies)(?:s|ed|ing)?\b[^\d]{0,25}"
    r"(?:\d[\d ()+-]*[^\d]{0,25}){0,3}$",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"\b(?:account|acct|card|code|pin|password|passcode|order|ticket|invoice|tracking|reference"
    r"|ref|booking|confirmation|reservation|serial|id|isbn(?:-1[03])?|pmid|ssn|flight|gate|room|rm|suite|ste|hwy|apartment"
    r"|apt|bus|train|tram|route|line|highway|port|zip|postal|postcode|po box|box|locker|badge"
    r"|case|meeting|passcode|extension|ext|model|boeing|airbus|sku|vin|imei|rtx|gtx|iso|rfc|ieee|otp|error|ending|ends)\b"
    r"(?: (?:number|no|code|id|line|digits|box|key|in|with|is|was|are|of|to|the|your))*"
    r"\.?[ :#*•]*(?:[A-Z]{1,3} )?$",
    re.IGNORECASE,
)
_COUNTED_THINGS = re.compile(
    rf",?\d|\.\d| ?(?:{UNIT})(?![\w])"
    r"| (?:people|percent|million|billion|thousand|hundred|men|women|children"
    r"|(?!(?:always|us|as|is|was|this|unless|across|yes|its|has|does|leaves|departs|arrives|needs"
    r"|costs|opens|closes|works|goes|stops|gets|expires|remains|runs|starts|ends|services)\b)"
    r"[a-z]+s)\b"
)
_COUNTED = re.compile(
    rf" ?(?:{UNIT})(?!\w)| (?:people|men|women|children|million|billion|thousand|pages|times|days"
    r"|hours|minutes|miles|meters|feet|euros|dollars|pounds|yuan|points|votes|years|items)\b"
)
_STATES = re.compile(
    "A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]"
    "|T[NX]|UT|V[AT]|W[AIVY]"
)
_ORDERED = re.compile(r"\b(?:order|ticket|invoice|case|part|item|model|serial) $", re.IGNORECASE)
_SURELY_BOOKS = (
    "Genesis|Exodus|Leviticus|Deuteronomy|Nehemiah|Psalms?|Proverbs|Ecclesiastes|Lamentations|Obadiah"
    "|Habakkuk|Zephaniah|Haggai|Corinthians|Galatians|Ephesians|Philippians|Colossians|Thessalonians"
    "|Philemon|Hebrews|Quran|Surah|(?:Exod|Deut|Neh|Eccl|Ezek|Eph|Thess)\\.?"
)
_NAMES = (
    "Numbers|Joshua|Judges|Ruth|Samuel|Kings|Chronicles|Ezra|Esther|Job|Isaiah|Jeremiah|Ezekiel|Daniel"
    "|Hosea|Joel|Amos|Jonah|Micah|Nahum|Zechariah|Malachi|Matthew|Mark|Luke|John|Acts|Romans|Timothy"
    "|Titus|James|Peter|Jude|Revelation|(?:Gen|Lev|Num|Josh|Judg|Sam|Chron|Ps|Prov|Isa|Jer|Dan|Matt"
    "|Rom|Cor|Gal|Phil|Tim|Heb|Pet|Rev)\\.?"
)
"""Of books of the Bible, but of people and things as well."""
_SCRIPTURE = re.compile(
    rf"\b(?:{_SURELY_BOOKS}) $"
    r"|(?<![\w.])(?:[1-3]|I{1,3})"
    r" (?:Samuel|Kings|Chronicles|Timothy|Peter|John|(?:Sam|Chron|Cor|Tim|Pet)\.?) $"
    rf"|(?:(?:^|[(,;:] ?)(?:[Ss]ee|[Rr]ead|cf\.)|\b[Ii]n|\b[Gg]ospel of|\b[Vv]erses?|\b[Pp]assage)"
    rf" (?:{_NAMES}) $"
)
_NAME = re.compile(rf"\b(?:{_NAMES}) $")
_SCRIPTURAL = re.compile(
    rf"\b(?:(?:{_SURELY_BOOKS}) \d|Bibles?\b|[Bb]iblical|[Gg]ospels?\b|[Ss]criptures?\b|Testament\b"
    r"|Jesus\b|Christ\b|[Aa]postles?\b)"
)
"""What a text says that is about the Bible."""
_TIMED = re.compile(
    r" (?:today|tomorrow|tonight|yesterday|sharp|on|at|this|next|win|loss|[ap]\.?m\b)",
    re.IGNORECASE,
)
_RUNS = re.compile(r"[A-Za-z]+|\d+(?:\.\d+)?", re.ASCII)
_SIGNS = {"@": " at ", ".": " dot ", "-": " dash ", "+": " plus ", "_": " underscore "}


def _address(match: re.Match[str]) -> Reading | None:
    return read_address(match, signs=_SIGNS, digits=digits_of)


def _device(match: re.Match[str]) -> Reading:
    return read_device(match, digit=numerals.english_digits, space=" ", pause=", ")


def _document(match: re.Match[str]) -> Reading:
    signs = {**_SIGNS, "/": " slash ", "(": " ", ")": " "}
    return read_document(match, signs=signs, digits=digits_of)


def _phone(match: re.Match[str]) -> Reading | None:
    text = match[0]
    count = sum(each.isdigit() for each in text)
    groups = re.findall(r"\d+", text)
    is_dialled = _PHONE.search(before(match, 60)) is not None
    is_marked = is_dialled or text[0] in "+(0"
    if count > 19 or count < (5 if is_dialled and "-" not in text else 7):
        return None
    if len(groups) < 3 and not is_marked:
        return None
    if re.fullmatch(r"\d{4}[-.]\d{1,2}[-.]\d{1,2}|\d{1,3}(?: \d{3})+", text):
        return None
    if YEARS.fullmatch(text) and not is_dialled:
        return None
    if " " in text and not is_marked and max(map(len, groups)) < 3:
        return None
    start, end = match.span()
    if text.startswith("+"):
        return [("plus ", (start, start + 1)), *digits_of(match.string, (start + 1, end))]
    return digits_of(match.string, (start, end))


def _local_phone(match: re.Match[str]) -> Reading | None:
    is_range = match[1].endswith("0") and match[2].endswith("00")
    return None if is_range else digits_of(match.string, match.span())


def _lettered_phone(match: re.Match[str]) -> Reading:
    """Read the digits before the letters of a number: 1-800-FLOWERS."""
    return [*digits_of(match.string, match.span(1)), (", ", match.span(2))]


def _dialled_with_signs(match: re.Match[str]) -> Reading | None:
    """Read a code for a telephone's keys: *67, #21#, *#06#."""
    if not _PHONE.search(before(match, 60)):
        return None
    names = {"*": "star", "#": "pound"}
    return [
        ((" " if at else "") + (names.get(key) or numerals.english_digits(key)), (place, place + 1))
        for at, (place, key) in enumerate(enumerate(match[0], start=match.start()))
    ]


def _airliner(match: re.Match[str]) -> Reading:
    variant = numerals.english(int(match[3]))
    return [
        *digits_of(match.string, match.span(1)),
        (", ", match.span(2)),
        (variant, match.span(3)),
    ]


def _airliners(match: re.Match[str]) -> str:
    return f"{numerals.english_digits(match[1])}s"


def _dialled(match: re.Match[str]) -> Reading | None:
    if follows(match, _COUNTED_THINGS) or not _PHONE.search(before(match, 60)):
        return None
    return digits_of(match.string, match.span())


def _named(match: re.Match[str]) -> Reading | None:
    if follows(match, _COUNTED_THINGS) or not _NAMED.search(before(match)):
        return None
    return digits_of(match.string, match.span())


def _named_groups(match: re.Match[str]) -> Reading | None:
    """Read a code that is written in groups: 123 456."""
    is_long = sum(map(str.isdigit, match[0])) > 5
    return (
        digits_of(match.string, match.span()) if is_long and _NAMED.search(before(match)) else None
    )


def _masked(match: re.Match[str]) -> Reading:
    """Read the digits that are shown of a number: •••• 4242."""
    return [("", (match.start(), match.start(1))), *digits_of(match.string, match.span(1))]


def _number_sign(match: re.Match[str]) -> str | None:
    return "number " if _ORDERED.search(before(match)) else None


def _episode(match: re.Match[str]) -> str:
    return f"season {numerals.english(int(match[1]))} episode {numerals.english(int(match[2]))}"


def _standard(match: re.Match[str]) -> str:
    return " point eleven" if match[0].startswith(".") else "eight oh two"


def _numbered(match: re.Match[str]) -> Reading | None:
    is_named = re.search(r"\bnumber(?! of)\b[^.\d]{0,12}$", before(match), re.IGNORECASE)
    return digits_of(match.string, match.span()) if is_named else None


def _emergency(match: re.Match[str]) -> Reading | None:
    things = _COUNTED if match[0] == "911" else _COUNTED_THINGS
    return None if follows(match, things) else digits_of(match.string, match.span())


def _version(match: re.Match[str]) -> Reading:
    said: list[tuple[str, Span]] = []
    start = match.start(2)
    if match[1]:
        is_named = re.search(r"\bversion $", before(match), re.IGNORECASE)
        said.append(("" if is_named else "version ", match.span(1)))
    for part in match[2].split("."):
        is_code = len(part) > 2
        words = numerals.english_digits(part) if is_code else number(part)
        end = start + len(part)
        lead = " point " if start > match.start(2) else ""
        said.append((lead + words, (start - bool(lead), end)))
        start = end + 1
    return said


def _internet_address(match: re.Match[str]) -> Reading:
    said: list[tuple[str, Span]] = []
    for run in re.finditer(r"\d+|[.:/]", match[0]):
        at = (match.start() + run.start(), match.start() + run.end())
        names = {".": ", dot ", ":": ", colon ", "/": ", slash "}
        said.extend(digits_of(match.string, at) if run[0].isdigit() else [(names[run[0]], at)])
    return said


def _code_digits(digits: str) -> str:
    if "." in digits:
        return number(digits)
    is_round = len(digits) <= 4 and digits.endswith("00")
    if digits.startswith("0") or (len(digits) > 2 and not is_round):
        return numerals.english_digits(digits)
    return numerals.english(int(digits))


def _code(match: re.Match[str]) -> Reading:
    """Read letters with digits: MP3, GPT-4o, H.264, B2B."""
    said: list[tuple[str, Span]] = []
    start = end = match.start()
    for run in _RUNS.finditer(match[0]):
        stop = match.start() + run.end()
        is_plural = run[0] == "s" and said and stop == match.end() and match[0][0].isupper()
        if is_plural:  # MP3s, but k8s.
            words = numerals.english_plural(said.pop()[0])
            said.append((words, (start, stop)))
            break
        words = spelled(run[0]) if run[0].isalpha() else _code_digits(run[0])
        start = end
        said.append(((" " if said else "") + words, (start, stop)))
        end = stop
    return said


def _resolution(match: re.Match[str]) -> str:
    first, last = divmod(int(match[1]), 100)
    return f"{numerals.english(first)} {numerals.english(last)} {match[2]}"


def _postal(match: re.Match[str]) -> Reading | None:
    if not _STATES.fullmatch(match.string[match.start() - 2 : match.start()]):
        return None
    return [(", ", match.span(1)), *digits_of(match.string, match.span(2))]


def _extension(match: re.Match[str]) -> Reading:
    return [(" extension ", match.span(1)), *digits_of(match.string, match.span(2))]


def _plain_digits(match: re.Match[str]) -> Reading:
    return digits_of(match.string, match.span())


def _ordinal(match: re.Match[str]) -> str:
    return numerals.english_ordinal(int(match[1].replace(",", "")))


def _with_separators(match: re.Match[str]) -> str:
    """Return a number with spaces or dots as thousands separators: 50 000, 1.000.000."""
    return numerals.english(int(re.sub(r"\D", "", match[0])))


def _with_decimal_comma(match: re.Match[str]) -> str:
    """Return a number as continental Europe writes it: 1.234,50 or 1,5 million."""
    return number(match[0].replace(".", "").replace(",", "."))


def _one_by_one(match: re.Match[str]) -> str:
    return " ".join(numerals.english_digits(each) if each.isdigit() else each for each in match[0])


def _verse(match: re.Match[str]) -> Reading | None:
    context = before(match)
    is_in_text = _NAME.search(context) and _SCRIPTURAL.search(match.string)
    if follows(match, _TIMED) or not (is_in_text or _SCRIPTURE.search(context)):
        return None
    verses = [
        (f", verse{'s' if match[4] else ''} {number(match[3])}", (match.end(1), match.end(3)))
    ]
    if match[4]:
        verses.append((f" to {number(match[4])}", (match.end(3), match.end())))
    return [(number(match[1]), match.span(1)), *verses]


ADDRESSES = (
    rule(DEVICE, _device),
    rule(DOCUMENT, _document),
    replace(rf"(?<=[\w-])\.(?=(?:{FILES})(?![\w.]))", " dot "),
    rule(ADDRESS, _address),
    rule(r"(?<=[a-z.] )(\d{1,3})(:)(\d{1,3})(?:[-–](\d{1,3}))?(?![\w:]|[.,]\d)", _verse),
)

RULES = (
    rule(r"(?<=\b802)\.11(?=[a-z]{0,2}\b)|\b802(?=\.11)", _standard),
    rule(rf"{UNSIGNED}\d{{2,4}}(?: \d{{2,4}}){{1,5}}(?![\w-]| \d|[.,]\d)", _named_groups),
    rule(r"(?<=\b[Pp]ress )[#*](?!\w)", lambda match: {"#": "pound", "*": "star"}[match[0]]),
    rule(r"(?:(?:\*{3,20}|•{2,20})[ -]?){1,4}(\d{2,4})(?![\w-])", _masked),
    rule(r"#(?=[A-Z]{1,3}-?\d)", _number_sign),
    rule(r"\bS(\d{1,2})\s?E(\d{1,2})\b", _episode),
    rule(r"\b0[xX][0-9A-Fa-f]++\b", _one_by_one),
    rule(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d+|/\d+)?(?![\w.]*\d)", _internet_address),
    rule(
        rf"{UNSIGNED}\d{{1,3}}(?:(?: 000)+|(?:\.\d{{3}}){{2,}})(?![\d.]*\d|,\d\d\b)",
        _with_separators,
    ),
    rule(rf"{UNSIGNED}\d{{1,3}}(?:\.\d{{3}})+,\d\d(?![\d.,])", _with_decimal_comma),
    rule(rf"{UNSIGNED}\d{{1,3}},\d{{1,2}}(?= (?:m|b|tr)illion\b)", _with_decimal_comma),
    rule(
        r"(?<![\w.,$€£¥+-])(?:\+ ?)?\(?\d{1,5}\)?"
        r"(?:(?:\) ?|[ .-]\(?)\d{2,7}\b\)?){1,5}(?![.,-]?\d)",
        _phone,
    ),
    rule(rf"{UNSIGNED}\+\d{{1,3}}(?:[ .-]?\(?\d{{1,10}}\b\)?){{2,6}}", _phone),
    rule(rf"{UNSIGNED}\+\d{{7,15}}(?!\d)", _phone),
    rule(rf"{UNSIGNED}(\d{{3}})-(\d{{4}})(?![\d-])", _local_phone),
    rule(rf"{UNSIGNED}(1-(?:8(?:00|88|77|66|55|44|33)|900))(-)(?=[A-Z])", _lettered_phone),
    rule(rf"{UNSIGNED}1-(?:800|888|877|866)(?!\d)", _plain_digits),
    rule(r"(?<![\w*#])(?:[*#]{1,2}\d{2,5}#?|\d{2,5}#)(?![\w*#])", _dialled_with_signs),
    rule(rf"{UNSIGNED}(7[0-8]7)(-)([1-9]00|[1-9])(?![\w-]|[.,]\d)", _airliner),
    rule(rf"{UNSIGNED}(7[0-8]7)s\b", _airliners),
    rule(r"(\s?\bext\.?\s?|(?<=\d{4})\s?x)(\d{1,6})\b", _extension),
    rule(r"(?<![\w.,-])(\d{3})-(\d{2})-(\d{4})(?![\d-])", _plain_digits),
    rule(r"(?<=\b[A-Z]{2})( )(\d{5}(?:-\d{4})?)(?![\d,-])", _postal),
    rule(r"\b(v\.? ?)?(\d+(?:\.\d+){2,})(?!\d|,\d)", _version),
    rule(r"\b([vV])(\d+(?:\.\d+)*)\b", _version),
    rule(rf"{UNSIGNED}(?:\d{{3,6}})(?![\w-]|[.,]\d)", _dialled),
    rule(
        rf"{UNSIGNED}(?:\d{{1,5}}(?:-\d{{1,7}}){{2,}}+[xX]?|\d{{3,19}}(?:-\d+)*)(?![\w-](?!(?<=-)[A-Z]\b)|[.,]\d)",
        _named,
    ),
    rule(rf"{UNSIGNED}\d{{6,19}}(?![\w-]|[.,]\d)", _numbered),
    rule(r"(?<![\w.,$€£¥#/-])(?:911|999)(?![\w/-]|[.,]\d)", _emergency),
    rule(rf"{UNSIGNED}\d{{10,}}(?![\w-]|[.,]\d)", _plain_digits),
)

CODES = (
    rule(r"\b(\d{1,15}|\d{1,3}(?:,\d{3})+)(?:st|nd|rd|th|ST|ND|RD|TH)\b", _ordinal),
    rule(r"\b([1-9]\d{2,3})([pi])\b", _resolution),
    rule(r"\b[A-Z]{1,6}(?:[-.]\d+(?:\.\d+)?[A-Za-z]?|\d+\.\d+)\b", _code),
    rule(r"\b(?:[A-Za-z]+\d|\d+[A-Za-z])[A-Za-z0-9]*(?:-(?=[A-Za-z0-9]*\d)[A-Za-z0-9]+)*\b", _code),
)
