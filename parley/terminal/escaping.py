"""What a terminal may be sent of a text from elsewhere."""

import re
from typing import Any

from rich.markup import escape

_STYLE = re.compile(r"(\x1b\[[\d;]*m)")
_BLANKS = "\n\t"


def visible(text: str) -> str:
    """Return a text that a terminal only shows: what it would obey, or not show, is escaped."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in _BLANKS else each.encode("unicode_escape").decode()
        for each in text
    )


def visible_json(value: Any) -> Any:
    """Return a value of JSON with all its texts visible."""
    match value:
        case str():
            return visible(value)
        case list():
            return [visible_json(each) for each in value]
        case dict():
            return {visible(name): visible_json(each) for name, each in value.items()}
        case _:
            return value


def visible_line(line: str) -> str:
    """Return a line of a process that has its colours, and nothing else that a terminal obeys."""
    parts = _STYLE.split(line)
    return "".join(
        part if at % 2 else visible(part.replace("\n", "\\n")) for at, part in enumerate(parts)
    )


def printable(name: str) -> str:
    """Return a client's name on one line, and without markup."""
    return escape(visible(name).replace("\n", "\\n").replace("\t", "\\t"))
