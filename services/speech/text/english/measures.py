"""Quantities with a unit: singular or plural, rates, ranges."""

import re

from services.speech.text.alignment import alternatives, replace, rule
from services.speech.text.english.numbers import ALONE, MINUS, RANGE, before, number
from services.speech.text.expressions import NUMBER

_NAMES = """
km: kilometer, m: meter, cm: centimeter, mm: millimeter, µm: micrometer, μm: micrometer
nm: nanometer, mi: mile, yd: yard, ft: foot, ha: hectare, sq ft: square foot, sqft: square foot
sq. m: square meter, sq. ft: square foot, pt: point, pts: point
sq m: square meter, sq km: square kilometer, sq mi: square mile, l: liter, L: liter
ml: milliliter, mL: milliliter, dL: deciliter, cl: centiliter, gal: gallon, tbsp: tablespoon
tsp: teaspoon, Tbsp: tablespoon, Tsp: teaspoon, kg: kilogram, g: gram, mg: milligram
µg: microgram, μg: microgram
mcg: microgram, lb: pound, lbs: pound, oz: ounce, t: ton, mol: mole, mmol: millimole
h: hour, hr: hour, hrs: hour, min: minute, mins: minute, s: second, sec: second, secs: second
ms: millisecond, µs: microsecond, μs: microsecond, ns: nanosecond
mph: mile per hour, kph: kilometer per hour, kmh: kilometer per hour, kmph: kilometer per hour
rpm: revolution per minute, bpm: beat per minute, fps: frame per second, mpg: mile per gallon
KB: kilobyte, kB: kilobyte, MB: megabyte, GB: gigabyte, TB: terabyte, PB: petabyte
MiB: mebibyte, GiB: gibibyte, Mb: megabit, Gb: gigabit, kbps: kilobit per second
kbit/s: kilobit per second
Mbit/s: megabit per second, Gbit/s: gigabit per second, MB/s: megabyte per second
Kbps: kilobit per second, Mbps: megabit per second, Gbps: gigabit per second
MP: megapixel, px: pixel, dpi: dot per inch, ppi: pixel per inch, ppm: part per million
Hz: hertz, kHz: kilohertz, MHz: megahertz, GHz: gigahertz, W: watt, kW: kilowatt
MW: megawatt, GW: gigawatt, V: volt, mV: millivolt, kV: kilovolt, mA: milliamp
Wh: watt hour, kWh: kilowatt hour, MWh: megawatt hour, mAh: milliamp hour, Ah: amp hour
J: joule, kJ: kilojoule, cal: calorie, kcal: kilocalorie, N: newton, Pa: pascal
hPa: hectopascal, kPa: kilopascal, MPa: megapascal, psi: pound per square inch, dB: decibel
hp: horsepower, atm: atmosphere, mbar: millibar, lm: lumen, Ω: ohm
kΩ: kilohm, mmHg: millimeter of mercury, °C: degree Celsius, ° C: degree Celsius
ºC: degree Celsius, ℃: degree Celsius, °F: degree Fahrenheit, ° F: degree Fahrenheit
ºF: degree Fahrenheit, ℉: degree Fahrenheit, °: degree, º: degree, %: percent, ‰: per mille
"""
_UNITS = dict(each.strip().split(": ") for each in re.split(r",|\n", _NAMES.strip()))
_POWERS = {"²": "square", "2": "square", "^2": "square", "³": "cubic", "3": "cubic", "^3": "cubic"}
_UNITS |= {
    f"{unit}{power}": f"{name} {one}"
    for unit, one in (*_UNITS.items(), ("in", "inch"))
    if unit in ("km", "m", "cm", "mm", "ft", "mi", "yd", "in")
    for power, name in _POWERS.items()
}
_ONLY_AFTER_SLASH = {
    "d": "day", "day": "day", "wk": "week", "week": "week", "mo": "month", "month": "month",
    "yr": "year", "year": "year", "hour": "hour", "minute": "minute", "second": "second",
    "night": "night", "person": "person", "user": "user", "seat": "seat", "item": "item",
    "in": "inch", "min": "minute", "sec": "second", "hr": "hour", "piece": "piece", "unit": "unit",
    "head": "head", "acre": "acre",
}  # fmt: skip
"""Units that are recognised only after a slash."""

_ARTICLE = re.compile(r"(?:^|[^A-Za-z])an? $", re.IGNORECASE)
_NOUN = re.compile(
    r" (?!(?:of|in|on|at|to|or|and|is|was|per|from|long|away|for)\b)(?:[a-z]|\d[kK]\b|[A-Z]{2})"
)
_FEET = frozenset("'′’")
_IRREGULAR = {"foot": "feet", "inch": "inches"}
_UNCHANGED = frozenset(("hertz", "horsepower", "percent", "per mille"))


def _plural(one: str) -> str:
    """Return the plural: feet, miles per hour, square meters, degrees Celsius."""
    if one in _UNCHANGED or one.endswith("hertz"):
        return one
    noun = _HEAD.match(one)
    assert noun is not None
    return one[: noun.start(1)] + _IRREGULAR.get(noun[1], f"{noun[1]}s") + one[noun.end(1) :]


_HEAD = re.compile(r"(?:\w+ )*?(\w+)(?= per | of | Celsius| Fahrenheit|$)")


def _name(unit: str, per: str | None, *, is_one: bool) -> str:
    one = _UNITS[unit]
    name = one if is_one else _plural(one)
    return f"{name} per {_PER_NAMES[per]}" if per else name


def _quantity(match: re.Match[str]) -> str:
    first, last = match["first"], match["last"]
    is_adjective = match["joint"] == "-" or _is_adjective(match)
    name = _name(match["unit"], match["per"], is_one=(first == "1" and not last) or is_adjective)
    minus_last = "minus " if match.groupdict().get("minus_last") else ""
    words = f"{number(first)} to {minus_last}{number(last)}" if last else number(first)
    return f"{'minus ' if match['minus'] else ''}{words} {name}"


def _parts(match: re.Match[str]) -> str:
    """Read the unit of a fraction or a mixed number."""
    is_many = _MIXED_NUMBER.search(before(match, 12)) or _is_pair(before(match, 12))
    return f" {_name(match['unit'], match['per'], is_one=not is_many)}"


def _is_pair(text: str) -> bool:
    """Whether the last fraction of a text is no fraction: a blood pressure of 120/80."""
    pair = re.search(r"(\d+)/(\d+)$", text)
    return pair is not None and int(pair[1]) > int(pair[2])


def _height(match: re.Match[str]) -> str:
    inches = f" {'inch' if match[2] == '1' else 'inches'}" if match[3] else ""
    return f"{_feet(match)} {number(match[2])}{inches}"


def _feet(match: re.Match[str]) -> str:
    return f"{number(match[1])} {'foot' if match[1] == '1' else 'feet'}"


def _arc(match: re.Match[str]) -> str:
    seconds = f" {number(match[2])} seconds" if match[2] else ""
    return f" {number(match[1])} minutes{seconds}"


def _inches(match: re.Match[str]) -> str:
    is_one = match[1] == "1" or _is_adjective(match)
    return f"{number(match[1])} {'inch' if is_one else 'inches'}"


def _is_adjective(match: re.Match[str]) -> bool:
    """Whether a quantity is used as an adjective: a 5 km run."""
    return bool(_ARTICLE.search(before(match, 8)) and _NOUN.match(match.string, match.end()))


def _heat(match: re.Match[str]) -> str | None:
    """Read the temperature of an oven, 180C or 350F, but not a seat or a house."""
    if not _HEATED.search(before(match)):
        return None
    return f"{number(match[1])} degrees {'Celsius' if match[2] == 'C' else 'Fahrenheit'}"


def _size(match: re.Match[str]) -> str:
    """Read a size of two or three lengths in one unit."""
    numbers = [number(each) for each in match.group(1, 2, 3) if each]
    name = "foot" if match[4] in _FEET else _UNITS.get(match[4], "inch")
    return f"{' by '.join(numbers)} {_plural(name)}"


_PER_NAMES = {**_UNITS, **_ONLY_AFTER_SLASH}
UNIT = alternatives(_UNITS)
_UNIT = (
    rf"(?P<unit>{UNIT})(?:\s?(?:/|⁄)\s?(?P<per>{alternatives(_PER_NAMES)})(?![\w/]))?"
    r"(?![A-Za-z0-9²³]|/[A-Za-z])(?:\.(?=\s[a-z]))?"
    r"(?!(?<=[NW])\.? [A-Z][a-z]+ (?:St|Ave|Rd|Blvd|Dr|Ln|Street|Avenue|Road)\b)"
)

_HEATED = re.compile(
    r"\b(?:(?:bak|roast)(?:e|ed|es|ing)?|fry(?! cook)|fried|frying|(?:pre)?heat(?:s|ed)?|ovens?"
    r"|(?<!the )(?<!a )(?<!fry )(?:cook|grill)|temperatures?)\b"
    r"(?:(?!\b(?:class|club|shop|store|office|meets?|sold|served)\b)[^.]){0,30}"
    r"(?:\b(?:(?<!is )(?<!are )at|(?<=oven is )at|to|of|is|was|about|around|from) "
    r"|\d{3}\s?[CF](?: or |\s?[/(]\s?(?:fan )?))$",
    re.IGNORECASE,
)
_AFTER_FRACTION = r"(?<=/\d)|(?<=/\d\d)|(?<=/\d{3})|(?<=/\d{4})|(?<=[¼-¾⅐-⅞])"
_MIXED_NUMBER = re.compile(r"\d\s?(?:[¼-¾⅐-⅞]| \d+/\d+)$")

SIZES = (
    rule(
        rf"{ALONE}({NUMBER})\s?m/s(?:²|\^?2)(?!\w)",
        lambda match: f"{number(match[1])} meters per second squared",
    ),
    rule(
        rf"{ALONE}({NUMBER})\s?[x×*]\s?({NUMBER})(?:\s?[x×*]\s?({NUMBER}))?"
        r"\s?-?(cm|mm|km|m|ft|in|px)\b(?![²³])",
        _size,
    ),
    rule(rf"{ALONE}({NUMBER})['′’]\s?[x×]\s?({NUMBER})()(['′’])(?!\w)", _size),
    rule(rf"{ALONE}({NUMBER})[\"″”]?\s?[x×]\s?({NUMBER})()([\"″”])(?!\w)", _size),
)
RULES = (
    rule(rf"{ALONE}([1-9]\d\d)\s?([CF])(?![\w°-]|,?\s(?!Fan\b)[A-Z])", _heat),
    replace(r"(?<=\d\d\d[CF])\s?/\s?(?=(?:[Ff]an )?\d{3}\s?[CF]\b|[Gg]as \d)", ", "),
    rule(
        rf"{ALONE}(?P<minus>(?!))?(?P<first>{NUMBER})\s?(?P<once>{UNIT}){RANGE}(?P<last>{NUMBER})"
        rf"(?P<joint>\s?)(?=(?P=once)(?![A-Za-z])){_UNIT}",
        _quantity,
    ),
    rule(
        rf"(?:(?:(?<=[⁰¹²³⁴-⁹])|(?<=\^\d)|(?<=\^\d\d))\s?(?={UNIT})"
        rf"|(?<=[mbr]illion )(?!\w\b))({UNIT})(?![\w/²³])",
        lambda match: f" {_plural(_UNITS[match[1]])}",
    ),
    rule(r"(?<=mm|cm|km|ft|\dm)\s?[x×]\s?(?=\d)", lambda _: " by "),
    rule(r"(?<=°)\s?(\d{1,2})[′’']\s?(?:(\d{1,2}(?:\.\d+)?)[″”\"])?", _arc),
    rule(rf"{ALONE}(\d{{1,2}})['’′]\s?(\d{{1,2}}(?:\.\d)?)([\"”″]|'')?(?!\d)", _height),
    rule(rf"{ALONE}(\d++)\s?(?:ft|feet|foot)\.?\s(\d{{1,2}})(\s?in)\b\.?(?!\s[a-z])", _height),
    rule(
        rf"{ALONE}({NUMBER})\s?in(?:\.(?=\s[a-z])|(?=\.$)|(?=\s(?:wide|long|tall|deep|high|thick|by|x)\b))",
        _inches,
    ),
    replace(rf"(?:{_AFTER_FRACTION})[\"″](?!\w)", " inch"),
    rule(rf"{ALONE}({NUMBER})′", _feet),
    rule(rf"(?:{_AFTER_FRACTION})\s?{_UNIT}", _parts),
    rule(rf"(?<![\w.,\"“])({NUMBER})(?:[\"″](?![\w\"]))", _inches),
    rule(
        rf"{ALONE}(?P<minus>{MINUS}\s?)?(?P<first>{NUMBER})"
        rf"(?:\s?(?:°|%|℃|°C|°F)?{RANGE}(?P<minus_last>{MINUS})?(?P<last>{NUMBER}))?(?P<joint>[\s-]?){_UNIT}",
        _quantity,
    ),
    rule(
        rf"(?:(?<=[A-Za-z])\s?/\s?(?P<per>{alternatives(_ONLY_AFTER_SLASH)})"
        rf"|(?<=\d)/(?P<unit>{alternatives(_PER_NAMES)}))\b",
        lambda match: f" per {_PER_NAMES[match['per'] or match['unit']]}",
    ),
    rule(
        r"(?<=[\w⁰¹²³⁴-⁹])\s?(?:km/h|m/s)\b",
        lambda match: {"km/h": " kilometers per hour", "m/s": " meters per second"}[
            match[0].strip()
        ],
    ),
    rule(r"\bmph\b", lambda _: "miles per hour"),
    rule(r"\b(?:kWh|km²|m²|m³)(?!\w)", lambda match: _plural(_UNITS[match[0]])),
    rule("%", lambda _: " percent"),
    rule("‰", lambda _: " per mille"),
    rule("°C|℃", lambda _: " degrees Celsius"),
    rule("°F|℉", lambda _: " degrees Fahrenheit"),
    rule("°", lambda _: " degrees"),
)
