"""Amounts of money, and numbers with a scale."""

import re
from dataclasses import dataclass

from services.speech.text import numerals
from services.speech.text.alignment import rule
from services.speech.text.english.numbers import MINUS, RANGE, before, number
from services.speech.text.expressions import NUMBER


@dataclass(frozen=True, slots=True, kw_only=True)
class _Currency:
    one: str
    many: str
    small_one: str = "cent"
    small_many: str = "cents"


def _dollar(country: str = "") -> _Currency:
    return _Currency(one=f"{country}dollar", many=f"{country}dollars")


def _same(name: str, small: str) -> _Currency:
    return _Currency(one=name, many=name, small_one=small, small_many=small)


_POUND = _Currency(one="pound", many="pounds", small_one="penny", small_many="pence")
_EURO = _Currency(one="euro", many="euros")
_YUAN = _same("yuan", "fen")
_YEN = _same("yen", "sen")
_WON = _same("won", "jeon")
_RUPEE = _Currency(one="rupee", many="rupees", small_one="paisa", small_many="paise")
_FRANC = _Currency(one="Swiss franc", many="Swiss francs", small_one="centime",
                   small_many="centimes")  # fmt: skip
_RUBLE = _Currency(one="ruble", many="rubles", small_one="kopeck", small_many="kopecks")
_REAL = _Currency(one="real", many="reais", small_one="centavo", small_many="centavos")
_LIRA = _Currency(one="lira", many="lira", small_one="kurus", small_many="kurus")
_PESO = _Currency(one="peso", many="pesos", small_one="centavo", small_many="centavos")
_HRYVNIA = _Currency(one="hryvnia", many="hryvnias", small_one="kopeck", small_many="kopecks")
_SHEKEL = _Currency(one="shekel", many="shekels", small_one="agora", small_many="agorot")
_ZLOTY = _Currency(one="zloty", many="zlotys", small_one="grosz", small_many="groszy")
_KRONA = _Currency(one="krona", many="kronor", small_one="ore", small_many="ore")
_KRONE = _Currency(one="krone", many="kroner", small_one="ore", small_many="ore")

_RINGGIT = _Currency(one="ringgit", many="ringgit", small_one="sen", small_many="sen")
_SIGNS = {
    "US$": _dollar("US "), "HK$": _dollar("Hong Kong "), "NT$": _dollar("New Taiwan "),
    "AU$": _dollar("Australian "), "A$": _dollar("Australian "), "CA$": _dollar("Canadian "),
    "C$": _dollar("Canadian "), "NZ$": _dollar("New Zealand "), "S$": _dollar("Singapore "),
    "SG$": _dollar("Singapore "), "$": _dollar(), "€": _EURO, "£": _POUND, "JP¥": _YEN,
    "CN¥": _YUAN, "RMB¥": _YUAN, "¥": _YUAN, "￥": _YUAN, "₩": _WON, "₹": _RUPEE, "₽": _RUBLE,
    "Rs.": _RUPEE, "R$": _REAL, "₺": _LIRA, "₫": _same("dong", "xu"), "฿": _same("baht", "satang"),
    "₱": _PESO, "₴": _HRYVNIA, "₪": _SHEKEL, "zł": _ZLOTY, "MX$": _PESO, "Rs": _RUPEE,
    "RM": _RINGGIT, "₦": _same("naira", "kobo"), "USD$": _dollar("US "),
    "AUD$": _dollar("Australian "), "CAD$": _dollar("Canadian "),
    "NZD$": _dollar("New Zealand "), "HKD$": _dollar("Hong Kong "), "SGD$": _dollar("Singapore "),
}  # fmt: skip
_CODES = {
    "USD": _dollar("US "), "HKD": _dollar("Hong Kong "), "TWD": _dollar("New Taiwan "),
    "AUD": _dollar("Australian "), "CAD": _dollar("Canadian "), "NZD": _dollar("New Zealand "),
    "SGD": _dollar("Singapore "), "EUR": _EURO, "GBP": _POUND, "CNY": _YUAN,
    "RMB": _same("RMB", ""),
    "JPY": _YEN, "KRW": _WON, "INR": _RUPEE, "CHF": _FRANC, "RUB": _RUBLE, "BRL": _REAL,
    "TRY": _LIRA, "VND": _same("dong", "xu"), "THB": _same("baht", "satang"), "PHP": _PESO,
    "MXN": _PESO, "UAH": _HRYVNIA, "ILS": _SHEKEL, "PLN": _ZLOTY, "SEK": _KRONA, "DKK": _KRONE,
    "NOK": _KRONE, "AED": _Currency(one="dirham", many="dirhams", small_one="fils",
    small_many="fils"), "ZAR": _Currency(one="rand", many="rand"), "MYR": _RINGGIT,
    "SAR": _Currency(one="riyal", many="riyals", small_one="halala", small_many="halalas"),
    "IDR": _Currency(one="rupiah", many="rupiah"), "CZK": _Currency(one="koruna", many="koruna"),
}  # fmt: skip
_SCALES = {
    "k": "thousand", "m": "million", "mn": "million", "mm": "million", "b": "billion",
    "bn": "billion", "t": "trillion", "tn": "trillion",
}  # fmt: skip
_SCALE_WORD = (
    r"[\s-]?(?:hundred|thousand|million|billion|trillion)\b|\s?(?:[kK]|[mM][mn]?|[bB]n?|[tT]n?)\b"
)
_RINGGIT_SIGN = (
    r"RM(?=\d|\s\d{1,3}(?:,\d{3})*(?:\.\d\d(?!\d)|(?<=,\d\d\d)(?!\d)|\s?(?:k|[mb]illion)\b))"
)
"""RM 204 is a room, and RM50 or RM 50.00 an amount."""
_SIGN = "|".join(
    (*map(re.escape, sorted(_SIGNS.keys() - {"RM"}, key=len, reverse=True)), _RINGGIT_SIGN)
)
_CODE = "|".join(_CODES)
_PER = re.compile(r"\s?/\s?(?=[A-Za-z])")
_RATE = re.compile(r"\s?/|\s(?:per|an? (?:lit(?:er|re)|kilo|unit|share))\b")
"""A price by the unit may well have three decimals: €1.459 per litre."""
_DECIMALS = re.compile(r"(?<![\d.,])\d+\.\d{1,2}(?![\d,]|\.\d)")
_ADJECTIVE = re.compile(r"(?:^|[^A-Za-z])(?:an?|another) $", re.IGNORECASE)
_NOUN = re.compile(
    r"-an?-[a-z]|(?:-| )(?!(?:per|a|an|each|for|in|to|on|or|and|is|was|at|of)\b)[a-z]"
)


def _amount(match: re.Match[str]) -> str:
    sign = match["sign"]
    currency = _SIGNS[sign] if sign else _CODES[match["code"]]
    first, last, scale = match["first"], match["last"], (match["scale"] or "").strip(" -")
    is_negative = match["minus"] or match.groupdict().get("inner_minus")
    minus = "minus " if is_negative else ""
    is_adjective = _ADJECTIVE.search(before(match, 12)) and _NOUN.match(match.string, match.end())
    if last:
        scale_first = (match["scale_first"] or "").strip()
        between = "and" if match["between"] == " and " else "to"
        if not scale and not scale_first and "." in first + last:
            return f"{minus}{_coins(first, currency)} {between} {_coins(last, currency)}"
        words = f"{_scaled(first, scale_first)} {between} {_scaled(last, scale)}"
        return f"{minus}{words} {currency.many}"
    if scale or is_adjective:
        name = currency.one if is_adjective else currency.many
        return f"{minus}{_scaled(first, scale)} {name}"
    return minus + _coins(first, currency)


def _continental(match: re.Match[str]) -> str | None:
    if whole := match.groupdict().get("thousands"):
        is_decimal = whole.count(".") == 1 and (
            _RATE.match(match.string, match.end()) or _DECIMALS.search(match.string)
        )
        return None if is_decimal else _coins(whole.replace(".", ""), _EURO)
    return _coins(f"{re.sub('[. ]', '', match['whole'])}.{match['cents']}", _EURO)


def _scaled(written: str, scale: str) -> str:
    name = _SCALES.get(scale.lower(), scale)
    return f"{number(written)} {name}".rstrip()


def _coins(written: str, currency: _Currency) -> str:
    """Return an amount, in major and minor units if it has two decimals."""
    whole, _, decimals = written.partition(".")
    large = f"{number(whole)} {currency.one if whole == '1' else currency.many}"
    if not decimals:
        return large
    if len(decimals) != 2:
        return f"{number(written)} {currency.many}"
    small = int(decimals)
    if not small:
        return large
    if not currency.small_one:
        return f"{number(written)} {currency.many}"
    coins = f"{numerals.english(small)} {currency.small_one if small == 1 else currency.small_many}"
    return coins if whole in ("", "0") else f"{large} and {coins}"


_FIRST = rf"(?P<first>{NUMBER}|(?<=[$€£])\.\d\d(?!\d))"
_LAST = rf"(?:{_SIGN})?(?P<last>{NUMBER})"
_SCALE = rf"(?P<scale>{_SCALE_WORD})?"
_NUMBERS = rf"{_FIRST}(?:(?P<scale_first>{_SCALE_WORD})?(?P<between>{RANGE}){_LAST})?{_SCALE}"
_TWO_NUMBERS = rf"{_FIRST}(?P<scale_first>(?!))?(?P<between> and ){_LAST}(?P<scale>{_SCALE_WORD})"
_CONTINENTAL = r"(?P<whole>\d{1,3}(?:[. ]\d{3})++|\d++),(?P<cents>\d\d)(?!\d|,\d)"
"""A decimal comma, as the euro's countries write it: 1.200,50."""
_THOUSANDS = r"(?P<thousands>[1-9]\d{0,2}(?:\.\d{3})+)(?![\d,])"
_AGAIN = r"(?: (?:US )?(?:dollars?|euros?|pounds?|yuan|yen|rupees?)\b|,[-–—](?!\w))?"
"""The currency's name although its sign is there, or a dash for no cents."""
_HEADS = (
    r"(?= (?:people|users|residents|inhabitants|customers|subscribers|followers|views|downloads"
    r"|visitors|copies|jobs|members|households|children|tourists|passengers|players)\b)"
)
_VERBS = "has|is|was|does|as|its|always|holds|meets|needs|leaves|stays|starts"
_COUNTED = rf"(?= (?:(?!(?:{_VERBS})\b)[a-z]+s|people|men|women|children)\b)"

RULES = (
    rule(
        rf"(?:€|EUR)\s?(?:{_CONTINENTAL}|{_THOUSANDS})",
        _continental,
    ),
    rule(rf"(?<![\w.,]){_CONTINENTAL}\s?(?:€|EUR\b)", _continental),
    rule(rf"(?<=\bbetween )(?P<minus>(?!))?(?P<sign>{_SIGN})\s?{_TWO_NUMBERS}(?!\d)", _amount),
    rule(
        rf"(?<![\w.])(?P<minus>{MINUS}\s?)?(?:(?P<sign>{_SIGN})|(?P<code>{_CODE}))\s?"
        rf"(?P<inner_minus>{MINUS})?{_NUMBERS}(?![\d]){_AGAIN}",
        _amount,
    ),
    rule(
        rf"(?<![\w.,])(?P<minus>{MINUS})?{_NUMBERS}\s?(?:(?P<sign>[€£₫₽₺₴]|zł|฿|₪)|(?P<code>{_CODE})\b)",
        _amount,
    ),
    rule(
        rf"(?<![\w.,])({NUMBER})\s?¢",
        lambda m: f"{number(m[1])} {'cent' if m[1] == '1' else 'cents'}",
    ),
    rule(
        r"(?<![\w.,])(?!24p|25p|30p|60p)(\d{1,2})p\b",
        lambda m: f"{number(m[1])} {'penny' if m[1] == '1' else 'pence'}",
    ),
    rule(
        r"(?<![\w.,])(\d+\.\d+)([kKMB])(?![\w.]*\d|\w)",
        lambda match: _scaled(match[1], match[2]),
    ),
    rule(rf"(?<![\w.,])({NUMBER})(m){_HEADS}", lambda match: _scaled(match[1], match[2])),
    rule(rf"(?<![\w.,])({NUMBER})\s?(bn)\b", lambda match: _scaled(match[1], match[2])),
    rule(
        rf"(?<![\w.,])({NUMBER})({RANGE})({NUMBER})(k|mn){_COUNTED}",
        lambda match: f"{number(match[1])} to {_scaled(match[3], match[4])}",
    ),
    rule(
        rf"(?<![\w.,])({NUMBER})([kKMB]|mn){_COUNTED}",
        lambda match: _scaled(match[1], match[2]),
    ),
)
