r"""Formulas that models write in LaTeX, rewritten with the signs that the grammars read.

$\frac{1}{2} \times \sqrt{2}$ becomes 1/2 × √2.
"""

import re
import unicodedata

from services.speech.text.alignment import Reading, SpokenForm, replace, rewrite, rule

_SIGNS = {
    "times": "×", "cdot": "×", "div": "÷", "pm": "±", "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥",
    "ne": "≠", "neq": "≠", "approx": "≈", "infty": "∞", "in": "∈", "notin": "∉", "subset": "⊂",
    "cup": "∪", "cap": "∩", "sum": "∑", "prod": "∏", "int": "∫", "partial": "∂", "forall": "∀",
    "exists": "∃", "to": "→", "rightarrow": "→", "Rightarrow": "→", "therefore": "∴",
    "because": "∵", "angle": "∠", "perp": "⊥", "circ": "°", "degree": "°", "percent": "%",
}  # fmt: skip
_SILENT = "text|textbf|textit|mathrm|mathbf|mathit|mathbb|operatorname|boxed|begin|end"
_SPACING = "left|right|big|Big|displaystyle|quad|qquad|limits"
_ENVIRONMENT = r"\{(?:equation|aligned?|cases|gather|matrix|[bpv]matrix|array)\*?\}"
_GREEK = (
    "alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|pi|rho|sigma|tau"
    "|upsilon|phi|chi|psi|omega"
)
_ARGUMENT = r"\{([^{}]{1,200})\}"
_SIMPLE = re.compile(r"[\w.√^]+")
_IS_FORMULA = re.compile(r"\\[A-Za-z]|[\^_=]|^[A-Za-z]$")
_DEEPEST = 4
"""How deep arguments may be nested; deeper ones are read with their commands' names."""


def without_latex(spoken: SpokenForm) -> SpokenForm:
    """Return a text whose formulas are written with plain signs."""
    if "$" in spoken.text:
        spoken = rewrite(spoken, _DELIMITERS)
    for _ in range(_DEEPEST):
        if "\\" not in spoken.text and "{" not in spoken.text:
            break
        spoken = rewrite(spoken, _COMMANDS)
    return spoken


def _formula(match: re.Match[str]) -> Reading | None:
    """Return what is between dollar signs, unless these are those of prices."""
    is_formula = _IS_FORMULA.search(match[2]) and match[2] == match[2].strip()
    return _inner(match, 2) if is_formula else None


def _sign(match: re.Match[str]) -> str | None:
    sign = _SIGNS.get(match[1])
    return sign and (sign if sign in "°%" else f" {sign} ")


def _greek(match: re.Match[str]) -> str:
    case = "CAPITAL" if match[1].istitle() else "SMALL"
    name = match[1].upper().replace("LAMBDA", "LAMDA")
    return f" {unicodedata.lookup(f'GREEK {case} LETTER {name}')} "


def _fraction(match: re.Match[str]) -> Reading:
    parts = [_grouped(match[1]), _grouped(match[2])]
    line = "/" if all(map(str.isdigit, parts)) else " ÷ "
    return [
        (parts[0], (match.start(), match.end(1))),
        (f"{line}{parts[1]}", (match.end(1), match.end())),
    ]


def _root(match: re.Match[str]) -> str:
    return f"√{_grouped(match[1])}"


def _raised(match: re.Match[str]) -> str:
    return f"^{_grouped(match[1])}"


def _path(match: re.Match[str]) -> str:
    return match[0].replace("\\", " ")


def _grouped(argument: str) -> str:
    argument = argument.strip()
    return argument if _SIMPLE.fullmatch(argument) else f"({argument})"


def _argument(match: re.Match[str]) -> Reading:
    return _inner(match, 1)


def _inner(match: re.Match[str], group: int) -> Reading:
    """Return a group of a match without what surrounds it."""
    start, end = match.span(group)
    return [("", (match.start(), start)), (match[group], (start, end)), ("", (end, match.end()))]


_DELIMITERS = (rule(r"(\${1,2})([^$\n]{1,300})\1(?!\d)", _formula),)
_COMMANDS = (
    # The folders of a path are no commands.
    rule(r"\b[A-Z]:\\[\w-]*[\\.][\w\\.-]*+(?!\{)", _path),
    rule(rf"\\[dt]?frac{_ARGUMENT}{_ARGUMENT}", _fraction),
    rule(rf"\\sqrt{_ARGUMENT}", _root),
    replace(rf"\\(?:begin|end){_ENVIRONMENT}", " "),
    rule(rf"\\(?:{_SILENT}|{_SPACING})\s?{_ARGUMENT}", _argument),
    replace(rf"(?:(?<![\w:])\\(?:{_SILENT})|(?<!:)\\(?:{_SPACING}))(?![A-Za-z{{])", " "),
    rule(rf"\s?\\((?i:{_GREEK}))(?![A-Za-z])\s?", _greek),
    rule(r"(?:\^\{?|\s)?\\([A-Za-z]{2,12})(?![A-Za-z])(?:\}|\s)?", _sign),
    rule(rf"\^{_ARGUMENT}", _raised),
    rule(rf"_{_ARGUMENT}", _argument),
)
