"""Works out the sums that a text names, so that a right result is told from an invented one."""

import re
from collections.abc import Iterator
from decimal import Decimal, DivisionByZero, InvalidOperation

from services.speech.dialogue.claims import Value, values

_OPERATIONS = (
    ("*", r"\s*(?:[*×x·]|\btimes\b|\bmultiplied by\b|乘以|乘)\s*"),
    ("/", r"\s*(?:[/÷]|\bdivided by\b|\bover\b|除以)\s*"),
    ("%", r"\s*(?:%|percent|per cent) of\s*"),
    ("+", r"\s*(?:\+|\bplus\b|\badded to\b|加上?)\s*"),
    ("-", r"\s*(?:[-−–]|\bminus\b|\bless\b|减去?)\s*"),
)
_RESULT = re.compile(
    r"\s*(?:=|\b(?:is|are|equals?|makes?|gives?|becomes?)\b(?: equal to)?|等于|得到?|就?是)\s*",
    re.IGNORECASE,
)
_OPERATION = re.compile(
    "|".join(f"(?P<o{at}>{pattern})" for at, (_, pattern) in enumerate(_OPERATIONS)), re.IGNORECASE
)
_SQUARE = re.compile(r"\s*(?:squared\b|的平方|²)", re.IGNORECASE)
_NUMBER = re.compile(
    r"\d[\d,]*(?:\.\d+)?|[零一二两三四五六七八九十百千万亿]+|"
    r"(?:(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|"
    r"fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|"
    r"ninety|hundred|thousand|million)(?:[\s-]+(?:and\s+(?=\w+\b))?)?)+",
    re.IGNORECASE,
)


def results(text: str) -> tuple[Decimal, ...]:
    """Return what the sums in a text come to, their intermediate results included."""
    shares = (value.amount / 100 for value in values(text) if value.unit == "percent")
    return (*(result for _, result in _sums(text)), *shares)


def has_sum(text: str) -> bool:
    """Whether a text names a sum: six times seven."""
    return next(_sums(text), None) is not None


def has_false_equation(text: str) -> bool:
    """Whether a text says of a sum that it comes to something else: six times seven is forty."""
    for end, result in _sums(text):
        equal = _RESULT.match(text, end)
        number = equal and _NUMBER.match(text, equal.end())
        if not number or _OPERATION.match(text, number.end()):
            continue
        if _amount(number.group()) != result:
            return True
    return False


def _sums(text: str) -> Iterator[tuple[int, Decimal]]:
    """Yield where a sum ends, and its result; one of several operations, from left to right."""
    at = 0
    while (number := _NUMBER.search(text, at)) is not None:
        at = number.end()
        total = _amount(number.group())
        square = _SQUARE.match(text, at)
        if square and total is not None:
            at, total = square.end(), total * total
            yield at, total
        while total is not None:
            operation = _OPERATION.match(text, at)
            operand = operation and _NUMBER.match(text, operation.end())
            if not operation or not operand:
                break
            amount = _amount(operand.group())
            if amount is None:
                break
            sign = _OPERATIONS[int((operation.lastgroup or "o0")[1:])][0]
            try:
                total = _apply(sign, total, amount)
            except (DivisionByZero, InvalidOperation):
                break
            at = operand.end()
            yield at - (len(operand.group()) - len(operand.group().rstrip())), total


def _apply(sign: str, left: Decimal, right: Decimal) -> Decimal:
    match sign:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "%":
            return left * right / 100
        case _:
            return left / right


def _amount(written: str) -> Decimal | None:
    found: tuple[Value, ...] = values(written.strip() + ".")
    if not found and written.strip().lower() in ("one", "一"):
        return Decimal(1)
    return found[0].amount if len(found) == 1 else None
